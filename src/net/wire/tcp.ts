import { type Malformed, malformed } from "../../base/mod.ts";
import { put16, put32, u16, u32 } from "./octets.ts";
import { decodeTcpOptions, NO_OPTIONS, type TcpOptions } from "./tcp-options.ts";

export const TCP_HEADER_LEN = 20;
export const TCP_CHECKSUM_OFFSET = 16;

/** Control bits (RFC 9293 §3.1). URG is not among them: its text is delivered like any other. */
export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;

export interface TcpSegment extends TcpOptions {
  readonly srcPort: number;
  readonly dstPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  /** Unscaled (RFC 7323 §2.3). */
  readonly wnd: number;
  /** Position of the text in the buffer. */
  readonly textAt: number;
  readonly textLen: number;
}

/**
 * Decodes the segment in `buf[at, end)` (RFC 9293 §3.1). The checksum is the
 * caller's, as the device may have verified it.
 */
export function decodeTcp(buf: Uint8Array, at: number, end: number): TcpSegment | Malformed {
  if (end > buf.length || end - at < TCP_HEADER_LEN) return malformed("tcp.truncated");
  const headerLen = (buf[at + 12]! >> 4) * 4;
  if (headerLen < TCP_HEADER_LEN || headerLen > end - at) return malformed("tcp.data-offset");
  const flags = buf[at + 13]!;
  const textAt = at + headerLen;
  let options = NO_OPTIONS;
  if (headerLen > TCP_HEADER_LEN) {
    const decoded = decodeTcpOptions(buf, at + TCP_HEADER_LEN, textAt, (flags & SYN) !== 0);
    if ("malformed" in decoded) return decoded;
    options = decoded;
  }
  return {
    srcPort: u16(buf, at),
    dstPort: u16(buf, at + 2),
    seq: u32(buf, at + 4),
    ack: u32(buf, at + 8),
    flags,
    wnd: u16(buf, at + 14),
    mss: options.mss,
    windowScale: options.windowScale,
    sackPermitted: options.sackPermitted,
    tsVal: options.tsVal,
    tsEcr: options.tsEcr,
    sack: options.sack,
    textAt,
    textLen: end - textAt,
  };
}

export interface TcpHeader {
  readonly srcPort: number;
  readonly dstPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly wnd: number;
}

/** Writes a header of `headerLen` octets with the checksum field 0; options are written by `encodeTcpOptions`. */
export function encodeTcp(buf: Uint8Array, at: number, header: TcpHeader, headerLen: number): void {
  put16(buf, at, header.srcPort);
  put16(buf, at + 2, header.dstPort);
  put32(buf, at + 4, header.seq);
  put32(buf, at + 8, header.ack);
  buf[at + 12] = (headerLen >> 2) << 4;
  buf[at + 13] = header.flags;
  put16(buf, at + 14, header.wnd);
  put32(buf, at + 16, 0); // checksum, urgent pointer
}
