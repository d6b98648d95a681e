import { type Malformed, malformed } from "../../base/mod.ts";
import { put16, put32, u16, u32 } from "./octets.ts";

const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_MSS = 2;
const OPTION_WINDOW_SCALE = 3;
const OPTION_SACK_PERMITTED = 4;
const OPTION_SACK = 5;
const OPTION_TIMESTAMPS = 8;

/** RFC 7323 §2.3: greater shifts are taken as 14. */
export const WINDOW_SCALE_MAX = 14;

/** Octets of the timestamps option with its two NOPs (RFC 7323 appendix A). */
export const TIMESTAMPS_LEN = 12;

/** Blocks in one segment: 40 octets of options hold four, or three beside timestamps (RFC 2018 §3). */
export const SACK_BLOCKS_MAX = 4;

/** The options of a segment that we know; others are skipped by their length. */
export interface TcpOptions {
  /** Of a SYN; absent where the option is. */
  readonly mss: number | undefined;
  /** Shift count of a SYN; absent where the option is. */
  readonly windowScale: number | undefined;
  /** Of a SYN (RFC 2018 §2). */
  readonly sackPermitted: boolean;
  /** TSval, or -1 without the option (RFC 7323 §3.2). */
  readonly tsVal: number;
  readonly tsEcr: number;
  /** Left and right edges in turn, as they came (RFC 2018 §3). A copy. */
  readonly sack: readonly number[] | undefined;
}

export const NO_OPTIONS: TcpOptions = {
  mss: undefined,
  windowScale: undefined,
  sackPermitted: false,
  tsVal: -1,
  tsEcr: 0,
  sack: undefined,
};

/** NOP, NOP, timestamps: how everybody sends them, in one word. */
const TIMESTAMPS_ALONE = 0x0101080a;

/** RFC 9293 §3.1 and §3.2; MSS, window scale and SACK-permitted count on a SYN only. */
export function decodeTcpOptions(buf: Uint8Array, from: number, to: number, syn: boolean): TcpOptions | Malformed {
  if (to - from === TIMESTAMPS_LEN && u32(buf, from) === TIMESTAMPS_ALONE) {
    return { ...NO_OPTIONS, tsVal: u32(buf, from + 4), tsEcr: u32(buf, from + 8) };
  }
  const options: { -readonly [K in keyof TcpOptions]: TcpOptions[K] } = { ...NO_OPTIONS };
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
    if (kind === OPTION_TIMESTAMPS && length === 10) {
      options.tsVal = u32(buf, at + 2);
      options.tsEcr = u32(buf, at + 6);
    } else if (kind === OPTION_SACK && length > 2 && (length - 2) % 8 === 0) {
      options.sack = edges(buf, at + 2, at + length);
    } else if (syn) {
      if (kind === OPTION_MSS && length === 4) options.mss = u16(buf, at + 2);
      if (kind === OPTION_WINDOW_SCALE && length === 3) options.windowScale = Math.min(buf[at + 2]!, WINDOW_SCALE_MAX);
      if (kind === OPTION_SACK_PERMITTED && length === 2) options.sackPermitted = true;
    }
    at += length;
  }
  return options;
}

function edges(buf: Uint8Array, from: number, to: number): number[] {
  const found: number[] = [];
  for (let at = from; at < to; at += 4) found.push(u32(buf, at));
  return found;
}

/** Octets that `encodeTcpOptions` writes: a multiple of four. */
export function tcpOptionsLen(o: TcpOptions): number {
  let length = o.mss === undefined ? 0 : 4;
  if (o.windowScale !== undefined) length += 4;
  if (o.sackPermitted) length += 4;
  if (o.tsVal >= 0) length += TIMESTAMPS_LEN;
  if (o.sack !== undefined) length += 4 + 4 * o.sack.length;
  return length;
}

/** Writes them, each padded by NOPs to whole words. */
export function encodeTcpOptions(buf: Uint8Array, from: number, o: TcpOptions): void {
  let at = from;
  if (o.mss !== undefined) {
    buf[at] = OPTION_MSS;
    buf[at + 1] = 4;
    put16(buf, at + 2, o.mss);
    at += 4;
  }
  if (o.windowScale !== undefined) {
    put32(buf, at, (OPTION_NOP << 24) | (OPTION_WINDOW_SCALE << 16) | (3 << 8) | o.windowScale);
    at += 4;
  }
  if (o.sackPermitted) {
    put32(buf, at, (OPTION_NOP << 24) | (OPTION_NOP << 16) | (OPTION_SACK_PERMITTED << 8) | 2);
    at += 4;
  }
  if (o.tsVal >= 0) {
    put32(buf, at, TIMESTAMPS_ALONE);
    put32(buf, at + 4, o.tsVal);
    put32(buf, at + 8, o.tsEcr);
    at += TIMESTAMPS_LEN;
  }
  if (o.sack !== undefined) {
    put32(buf, at, (OPTION_NOP << 24) | (OPTION_NOP << 16) | (OPTION_SACK << 8) | (2 + 4 * o.sack.length));
    for (const edge of o.sack) {
      at += 4;
      put32(buf, at, edge);
    }
  }
}
