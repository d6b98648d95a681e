import { type Malformed, malformed } from "../../base/mod.ts";
import { put16, u16 } from "./octets.ts";

export const UDP_HEADER_LEN = 8;
export const UDP_CHECKSUM_OFFSET = 6;

export interface UdpHeader {
  readonly srcPort: number;
  readonly dstPort: number;
  /** 0: the sender made none (allowed in IPv4 only). */
  readonly checksum: number;
  readonly payloadAt: number;
  readonly payloadLen: number;
}

/** RFC 768. The length field rules; octets beyond it are not part of the datagram. */
export function decodeUdp(buf: Uint8Array, at: number, end: number): UdpHeader | Malformed {
  if (end > buf.length || end - at < UDP_HEADER_LEN) return malformed("udp.truncated");
  const length = u16(buf, at + 4);
  if (length < UDP_HEADER_LEN || length > end - at) return malformed("udp.length");
  return {
    srcPort: u16(buf, at),
    dstPort: u16(buf, at + 2),
    checksum: u16(buf, at + 6),
    payloadAt: at + UDP_HEADER_LEN,
    payloadLen: length - UDP_HEADER_LEN,
  };
}

/** Writes the header with the checksum field 0; `length` includes the header. */
export function encodeUdp(buf: Uint8Array, at: number, srcPort: number, dstPort: number, length: number): void {
  put16(buf, at, srcPort);
  put16(buf, at + 2, dstPort);
  put16(buf, at + 4, length);
  put16(buf, at + 6, 0);
}
