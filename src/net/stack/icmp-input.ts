import {
  ICMP_HEADER_LEN,
  IP4_HEADER_LEN,
  IP6_HEADER_LEN,
  type IpPacket,
  icmp4,
  icmp6,
  protocol,
  u16,
  u32,
} from "../wire/mod.ts";
import type { Tuple } from "./flow-table.ts";

/** What an ICMP error says of a segment of ours. */
export interface PathProblem {
  /** The quoted segment's endpoints, seen from here. */
  readonly tuple: Tuple;
  /** Its first number. */
  readonly seq: number;
  /** "refused": port or protocol; "unreachable": anything else that may pass; "too-big": the path's MTU is `mtu`. */
  readonly kind: "refused" | "unreachable" | "too-big";
  /** 0: an old router that does not say (RFC 1191 §5). */
  readonly mtu: number;
}

/** Reads an ICMP error about TCP; `undefined` when it is about anything else. The checksum is verified. */
export function pathProblem(buf: Uint8Array, ip: IpPacket): PathProblem | undefined {
  const kind = ip.version === 4 ? kindOf4(buf, ip.bodyAt) : kindOf6(buf, ip.bodyAt);
  if (kind === undefined) return undefined;
  const at = ip.bodyAt + ICMP_HEADER_LEN;
  const v4 = ip.version === 4;
  const fixedLen = v4 ? IP4_HEADER_LEN : IP6_HEADER_LEN;
  if (ip.end - at < fixedLen || buf[at]! >> 4 !== ip.version) return undefined;
  if (buf[at + (v4 ? 9 : 6)] !== protocol.TCP) return undefined;
  const tcpAt = at + (v4 ? (buf[at]! & 15) * 4 : fixedLen);
  // Ports and number: the 8 octets that every error quotes.
  if (tcpAt < at + fixedLen || ip.end - tcpAt < 8) return undefined;
  const mtu = v4 ? u16(buf, ip.bodyAt + 6) : u32(buf, ip.bodyAt + 4);
  return { tuple: mirrored(buf, at + (v4 ? 12 : 8), ip.addressLen, tcpAt), seq: u32(buf, tcpAt + 4), kind, mtu };
}

function kindOf4(buf: Uint8Array, at: number): PathProblem["kind"] | undefined {
  const code = buf[at + 1]!;
  switch (buf[at]) {
    case icmp4.unreachable:
      if (code === icmp4.codeTooBig) return "too-big";
      return code === icmp4.codePort || code === icmp4.codeProtocol ? "refused" : "unreachable";
    case icmp4.timeExceeded:
    case icmp4.parameterProblem:
      return "unreachable";
    default:
      return undefined; // source quench: RFC 6633 §3
  }
}

function kindOf6(buf: Uint8Array, at: number): PathProblem["kind"] | undefined {
  switch (buf[at]) {
    case icmp6.packetTooBig:
      return "too-big";
    case icmp6.unreachable:
      return buf[at + 1] === icmp6.codePort ? "refused" : "unreachable";
    case icmp6.parameterProblem:
      return buf[at + 1] === icmp6.codeNextHeader ? "refused" : "unreachable";
    case icmp6.timeExceeded:
      return "unreachable";
    default:
      return undefined;
  }
}

/** Our packet's source is the local end. */
function mirrored(buf: Uint8Array, addressesAt: number, len: number, portsAt: number): Tuple {
  const tuple = new Uint8Array(2 * len + 4);
  tuple.set(buf.subarray(addressesAt + len, addressesAt + 2 * len), 0);
  tuple.set(buf.subarray(addressesAt, addressesAt + len), len);
  tuple.set(buf.subarray(portsAt + 2, portsAt + 4), 2 * len);
  tuple.set(buf.subarray(portsAt, portsAt + 2), 2 * len + 2);
  return tuple;
}
