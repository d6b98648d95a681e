import { type Malformed, malformed } from "../../base/mod.ts";
import { addWords, checksumOf, isIntact } from "./checksum.ts";
import { DEFAULT_HOP_LIMIT, type IpPacket } from "./ip-packet.ts";
import { put16, u16 } from "./octets.ts";

export const IP4_HEADER_LEN = 20;

const MAX_LEN = 65_535;
const DONT_FRAGMENT = 0x4000;
const FRAGMENT_MASK = 0x3fff; // MF and offset

/** RFC 791 §3.1. Options are skipped. */
export function decodeIp4(buf: Uint8Array, at: number): IpPacket | Malformed {
  if (buf.length - at < IP4_HEADER_LEN) return malformed("ip4.truncated");
  const headerLen = (buf[at]! & 0x0f) * 4;
  const totalLen = u16(buf, at + 2);
  if (headerLen < IP4_HEADER_LEN || headerLen > totalLen) return malformed("ip4.header-length");
  if (totalLen > buf.length - at) return malformed("ip4.total-length");
  if (!isIntact(addWords(0, buf, at, at + headerLen))) return malformed("ip4.checksum");
  return {
    version: 4,
    at,
    addressesAt: at + 12,
    addressLen: 4,
    protocol: buf[at + 9]!,
    protocolOffset: 9,
    bodyAt: at + headerLen,
    fragmentAt: (u16(buf, at + 6) & FRAGMENT_MASK) === 0 ? 0 : at + 4,
    end: at + totalLen,
  };
}

/**
 * Writes a header without options but for the addresses, which the caller has
 * put at `at + 12`. The identification is 0: with DF set nothing may depend on
 * it (RFC 6864 §4.1). A longer packet than the field can say is a super-segment
 * that goes by its frame's length; the field is 0 then (Linux: BIG TCP).
 */
export function encodeIp4(buf: Uint8Array, at: number, proto: number, totalLen: number): void {
  buf[at] = 0x45;
  buf[at + 1] = 0;
  put16(buf, at + 2, totalLen > MAX_LEN ? 0 : totalLen);
  put16(buf, at + 4, 0);
  put16(buf, at + 6, DONT_FRAGMENT);
  buf[at + 8] = DEFAULT_HOP_LIMIT;
  buf[at + 9] = proto;
  put16(buf, at + 10, 0);
  put16(buf, at + 10, checksumOf(addWords(0, buf, at, at + IP4_HEADER_LEN)));
}
