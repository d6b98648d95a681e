import { type Malformed, malformed } from "../../base/mod.ts";
import { DEFAULT_HOP_LIMIT, type IpPacket } from "./ip-packet.ts";
import { put16, put32, u16 } from "./octets.ts";

export const IP6_HEADER_LEN = 40;

/** Extension headers walked over; honest packets carry two at most (RFC 8504 §5.3 allows a limit). */
export const EXTENSION_HEADERS_LIMIT = 8;

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;

/** RFC 8200 §3, §4. Extension headers are skipped, a fragment that is the whole packet (RFC 6946) among them. */
export function decodeIp6(buf: Uint8Array, at: number): IpPacket | Malformed {
  if (buf.length - at < IP6_HEADER_LEN) return malformed("ip6.truncated");
  const end = at + IP6_HEADER_LEN + u16(buf, at + 4);
  if (end > buf.length) return malformed("ip6.payload-length");
  let protocolAt = at + 6;
  let bodyAt = at + IP6_HEADER_LEN;
  for (let walked = 0; isExtension(buf[protocolAt]!); walked++) {
    if (walked === EXTENSION_HEADERS_LIMIT) return malformed("ip6.extension-headers");
    if (end - bodyAt < 8) return malformed("ip6.extension-truncated");
    const problem = checkExtension(buf, buf[protocolAt]!, bodyAt);
    if (problem !== undefined) return problem;
    if (buf[protocolAt] === FRAGMENT && isPart(buf, bodyAt)) {
      return packet(at, buf[bodyAt]!, protocolAt - at, bodyAt + 8, bodyAt, end);
    }
    const length = buf[protocolAt] === FRAGMENT ? 8 : 8 + 8 * buf[bodyAt + 1]!;
    if (length > end - bodyAt) return malformed("ip6.extension-length");
    protocolAt = bodyAt;
    bodyAt += length;
  }
  return packet(at, buf[protocolAt]!, protocolAt - at, bodyAt, 0, end);
}

function packet(
  at: number,
  protocol: number,
  protocolOffset: number,
  bodyAt: number,
  fragmentAt: number,
  end: number,
): IpPacket {
  return { version: 6, at, addressesAt: at + 8, addressLen: 16, protocol, protocolOffset, bodyAt, fragmentAt, end };
}

/** Offset and M flag; the two reserved bits between them are ignored. */
function isPart(buf: Uint8Array, fragmentAt: number): boolean {
  return (u16(buf, fragmentAt + 2) & 0xfff9) !== 0;
}

function isExtension(nextHeader: number): boolean {
  return (
    nextHeader === HOP_BY_HOP || nextHeader === ROUTING || nextHeader === FRAGMENT || nextHeader === DESTINATION_OPTIONS
  );
}

function checkExtension(buf: Uint8Array, kind: number, at: number): Malformed | undefined {
  // A route that is not used up asks us to forward (RFC 8200 §4.4).
  if (kind === ROUTING && buf[at + 3] !== 0) return malformed("ip6.routing");
  return undefined;
}

/** Writes a header but for the addresses, which the caller has put at `at + 8`. */
export function encodeIp6(buf: Uint8Array, at: number, proto: number, payloadLen: number): void {
  put32(buf, at, 0x60000000);
  put16(buf, at + 4, payloadLen);
  buf[at + 6] = proto;
  buf[at + 7] = DEFAULT_HOP_LIMIT;
}
