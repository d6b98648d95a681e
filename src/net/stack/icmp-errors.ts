import {
  encodeIp4,
  encodeIp6,
  ICMP_HEADER_LEN,
  IP4_HEADER_LEN,
  IP6_HEADER_LEN,
  type IpPacket,
  icmp4,
  icmp6,
  put32,
} from "../wire/mod.ts";
import { addressLenOf, type Tuple } from "./flow-table.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { ICMP_ERROR_LEN, ICMP_ERRORS_PER_SECOND } from "./limits.ts";
import { RateLimit } from "./rate-limit.ts";

/** Octets of a packet's body that every ICMP error quotes (RFC 792). */
const QUOTED_LEN = 8;

export type UnreachableReason = "address" | "port" | "protocol" | "prohibited";

const CODES4 = {
  address: icmp4.codeHost,
  port: icmp4.codePort,
  protocol: icmp4.codeProtocol,
  prohibited: icmp4.codeProhibited,
} as const;
const CODES6 = { address: icmp6.codeAddress, port: icmp6.codePort, prohibited: icmp6.codeProhibited } as const;

/** Destination unreachable, what ICMPv6 says instead of "protocol", and time exceeded. Rate-limited. */
export class IcmpErrors {
  readonly #writer: FrameWriter;
  readonly #limit = new RateLimit(ICMP_ERRORS_PER_SECOND);

  constructor(writer: FrameWriter) {
    this.#writer = writer;
  }

  /** Tells the sender of the packet why nothing will come of it. False: over the limit. */
  send(reason: UnreachableReason | "reassembly", buf: Uint8Array, ip: IpPacket, now: number): boolean {
    if (!this.#limit.allow(now)) return false;
    const room = ICMP_ERROR_LEN[ip.version] - ICMP_HEADER_LEN - (ip.version === 4 ? IP4_HEADER_LEN : IP6_HEADER_LEN);
    const quoted = buf.subarray(ip.at, Math.min(ip.end, ip.at + room));
    const tuple = addressesOf(buf, ip);
    if (reason === "reassembly") {
      const { timeExceeded, codeReassembly } = ip.version === 4 ? icmp4 : icmp6;
      this.#writer.icmp(tuple, timeExceeded, codeReassembly, 0, quoted);
    } else if (ip.version === 4) {
      this.#writer.icmp(tuple, icmp4.unreachable, CODES4[reason], 0, quoted);
    } else if (reason === "protocol") {
      this.#writer.icmp(tuple, icmp6.parameterProblem, icmp6.codeNextHeader, ip.protocolOffset, quoted);
    } else {
      this.#writer.icmp(tuple, icmp6.unreachable, CODES6[reason], 0, quoted);
    }
    return true;
  }
}

/**
 * As much of a packet that arrived as an ICMP error must quote, made anew from what is kept of it: the IP header, both
 * ports and `second`, the word behind them.
 */
export function packetHead(tuple: Tuple, proto: number, second: number): Uint8Array {
  const len = addressLenOf(tuple);
  const headerLen = len === 4 ? IP4_HEADER_LEN : IP6_HEADER_LEN;
  const packet = new Uint8Array(headerLen + QUOTED_LEN);
  packet.set(tuple.subarray(0, 2 * len), headerLen - 2 * len);
  packet.set(tuple.subarray(2 * len), headerLen);
  put32(packet, headerLen + 4, second);
  if (len === 4) encodeIp4(packet, 0, proto, packet.length);
  else encodeIp6(packet, 0, proto, QUOTED_LEN);
  return packet;
}

/** A tuple with the packet's addresses and no ports, for ICMP. */
export function addressesOf(buf: Uint8Array, ip: IpPacket): Tuple {
  const tuple = new Uint8Array(2 * ip.addressLen + 4);
  tuple.set(buf.subarray(ip.addressesAt, ip.addressesAt + 2 * addressLenOf(tuple)));
  return tuple;
}
