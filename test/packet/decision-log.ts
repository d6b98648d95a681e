import { isMalformed } from "../../src/base/mod.ts";
import { seq } from "../../src/net/tcp/mod.ts";
import { ACK, decodeTcp, FIN, protocol, SYN } from "../../src/net/wire/mod.ts";
import { sentPacket } from "./sent-packet.ts";

/** Towards the stack, or out of it. */
export type Direction = "in" | "out";

/** What became of a frame: a set of bits. */
export const fate = { LOST: 1, CORRUPTED: 2, TRUNCATED: 4, REFUSED: 8, DUPLICATED: 16, REORDERED: 32 } as const;

/** The receiver never got it, or could not use it. */
const GONE = fate.LOST | fate.CORRUPTED | fate.TRUNCATED | fate.REFUSED;

/** What is kept of each frame, one column each. */
const COLUMNS = ["atMs", "out", "fate", "seq", "length", "ack", "flags", "wnd", "sackTop", "tsVal", "tsEcr"] as const;
const WIDTH = COLUMNS.length;
const FATE = COLUMNS.indexOf("fate");
/** Rows that are allocated at a time: one growing array would be copied for seconds. */
const BLOCK_ROWS = 16_384;

/** One TCP segment as the shim saw it. */
export interface LoggedSegment {
  /** When it entered the shim, milliseconds since 1970. */
  readonly atMs: number;
  readonly direction: Direction;
  readonly gone: boolean;
  readonly seq: number;
  /** Behind its text, SYN and FIN; equal to `seq` where it has none of them. */
  readonly end: number;
  readonly syn: boolean;
  /** -1 without. */
  readonly ack: number;
  /** As it stands in the field. */
  readonly wnd: number;
  /** The highest edge of its SACK blocks; -1 without. */
  readonly sackTop: number;
  readonly tsVal: number;
  readonly tsEcr: number;
}

/** All decisions of a shim in the order of their making, each with the segment that it befell. */
export class DecisionLog {
  readonly #blocks: Float64Array[] = [];
  #rows = 0;
  readonly #now: () => number;

  constructor(now: () => number = wallMs) {
    this.#now = now;
  }

  /** The row's number, for `mark`. */
  add(direction: Direction, frame: Uint8Array, what: number): number {
    if (this.#rows % BLOCK_ROWS === 0) this.#blocks.push(new Float64Array(WIDTH * BLOCK_ROWS));
    const row = this.#row(this.#rows);
    row.set([this.#now(), direction === "out" ? 1 : 0, what]);
    row.set(segmentColumns(frame), FATE + 1);
    return this.#rows++;
  }

  mark(row: number, what: number): void {
    this.#row(row)[FATE]! |= what;
  }

  /** How often each thing happened. */
  totals(): Record<string, number> {
    const totals: Record<string, number> = { frames: this.#rows };
    for (let number = 0; number < this.#rows; number++) {
      const what = this.#row(number)[FATE]!;
      if (what === 0) continue;
      for (const [name, bit] of Object.entries(fate)) {
        if (what & bit) totals[name.toLowerCase()] = (totals[name.toLowerCase()] ?? 0) + 1;
      }
    }
    return totals;
  }

  /** The TCP segments of a time, both ways. */
  segments(fromMs: number, toMs: number): LoggedSegment[] {
    const found: LoggedSegment[] = [];
    for (let number = 0; number < this.#rows; number++) {
      const row = this.#row(number);
      if (row[0]! < fromMs) continue;
      if (row[0]! > toMs) break;
      const [atMs, out, what, start, length, ack, flags, wnd, sackTop, tsVal, tsEcr] = row as unknown as number[];
      if (flags === 0) continue; // no TCP segment
      found.push({
        atMs: atMs!,
        direction: out === 1 ? "out" : "in",
        gone: (what! & GONE) !== 0,
        seq: start!,
        end: seq.add(start!, length!),
        syn: (flags! & SYN) !== 0,
        ack: ack!,
        wnd: wnd!,
        sackTop: sackTop!,
        tsVal: tsVal!,
        tsEcr: tsEcr!,
      });
    }
    return found;
  }

  #row(number: number): Float64Array {
    const at = (number % BLOCK_ROWS) * WIDTH;
    return this.#blocks[Math.floor(number / BLOCK_ROWS)]!.subarray(at, at + WIDTH);
  }
}

/** The columns from "seq" on; zeros where the frame is no TCP segment. */
function segmentColumns(frame: Uint8Array): number[] {
  const ip = sentPacket(frame);
  if (isMalformed(ip) || ip.protocol !== protocol.TCP) return [];
  const seg = decodeTcp(frame, ip.bodyAt, ip.end);
  if (isMalformed(seg)) return [];
  const length = seg.textLen + (seg.flags & SYN ? 1 : 0) + (seg.flags & FIN ? 1 : 0);
  const edges = (seg.sack ?? []).filter((_, i) => i % 2 === 1);
  const sackTop = edges.length === 0 ? -1 : edges.reduce(seq.max);
  const ack = seg.flags & ACK ? seg.ack : -1;
  return [seg.seq, length, ack, seg.flags, seg.wnd, sackTop, seg.tsVal, seg.tsEcr];
}

/** The same clock in every process of the machine. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}
