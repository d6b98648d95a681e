import { type Malformed, malformed } from "../../base/mod.ts";
import { put16, put32, u16, u32 } from "./octets.ts";

export const TCP_HEADER_LEN = 20;
export const TCP_CHECKSUM_OFFSET = 16;

/** Control bits (RFC 9293 §3.1). */
export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;

const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_MSS = 2;
const OPTION_WINDOW_SCALE = 3;

/** RFC 7323 §2.3: greater shifts are taken as 14. */
export const WINDOW_SCALE_MAX = 14;

export interface TcpSegment {
  readonly srcPort: number;
  readonly dstPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  /** Unscaled (RFC 7323 §2.3). */
  readonly wnd: number;
  /** Of a SYN; absent where the option is. */
  readonly mss: number | undefined;
  /** Shift count of a SYN; absent where the option is. */
  readonly windowScale: number | undefined;
  /** Position of the text in the buffer. */
  readonly textAt: number;
  readonly textLen: number;
}

/**
 * Decodes the segment in `buf[at, end)` (RFC 9293 §3.1). The checksum is the
 * caller's, as the device may have verified it. Options count on a SYN only:
 * we negotiate none that would appear later.
 */
export function decodeTcp(buf: Uint8Array, at: number, end: number): TcpSegment | Malformed {
  if (end > buf.length || end - at < TCP_HEADER_LEN) return malformed("tcp.truncated");
  const headerLen = (buf[at + 12]! >> 4) * 4;
  if (headerLen < TCP_HEADER_LEN || headerLen > end - at) return malformed("tcp.data-offset");
  const flags = buf[at + 13]!;
  const textAt = at + headerLen;
  let options = NO_OPTIONS;
  if (flags & SYN && headerLen > TCP_HEADER_LEN) {
    const decoded = decodeSynOptions(buf, at + TCP_HEADER_LEN, textAt);
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
    textAt,
    textLen: end - textAt,
  };
}

interface SynOptions {
  mss: number | undefined;
  windowScale: number | undefined;
}

const NO_OPTIONS: SynOptions = { mss: undefined, windowScale: undefined };

/** RFC 9293 §3.1 and §3.2; unknown kinds are skipped by their length. */
function decodeSynOptions(buf: Uint8Array, from: number, to: number): SynOptions | Malformed {
  const options: SynOptions = { mss: undefined, windowScale: undefined };
  let at = from;
  while (at < to) {
    const kind = buf[at]!;
    if (kind === OPTION_END) break;
    if (kind === OPTION_NOP) {
      at++;
      continue;
    }
    if (at + 1 >= to) return malformed("tcp.option-truncated");
    const length = buf[at + 1]!;
    if (length < 2 || length > to - at) return malformed("tcp.option-length");
    if (kind === OPTION_MSS && length === 4) options.mss = u16(buf, at + 2);
    if (kind === OPTION_WINDOW_SCALE && length === 3) options.windowScale = Math.min(buf[at + 2]!, WINDOW_SCALE_MAX);
    at += length;
  }
  return options;
}

export interface TcpHeader {
  readonly srcPort: number;
  readonly dstPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly wnd: number;
}

/** Writes a header of `headerLen` octets with the checksum field 0; options are written by their own functions. */
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

/** Octets of the options on our SYN: with window scaling padded by a NOP. */
export function synOptionsLen(windowScale: number | undefined): number {
  return windowScale === undefined ? 4 : 8;
}

export function encodeSynOptions(buf: Uint8Array, at: number, mss: number, windowScale: number | undefined): void {
  buf[at] = OPTION_MSS;
  buf[at + 1] = 4;
  put16(buf, at + 2, mss);
  if (windowScale === undefined) return;
  buf[at + 4] = OPTION_NOP;
  buf[at + 5] = OPTION_WINDOW_SCALE;
  buf[at + 6] = 3;
  buf[at + 7] = windowScale;
}
