import { isNumbered } from "./frames.ts";
import { HEADER_LEN, MAX_FRAME, SEGMENT_LEN } from "./limits.ts";

/** Whole frames back to back, as they were or will be written. */
export interface Segment {
  readonly bytes: Uint8Array;
  filled: number;
  /** Octets that the present carrier has. */
  flushed: number;
  /** Number of the last numbered frame before it. */
  before: number;
  /** Number of the last numbered frame at its end. */
  lastFrame: number;
  /** Where the last numbered frame in it ends. */
  numberedTo: number;
  /** Octets of numbered frames up to its end, all segments before it included. */
  end: number;
}

export function newSegment(spare: Uint8Array | undefined, frames: number, octets: number): Segment {
  const bytes = spare ?? new Uint8Array(SEGMENT_LEN);
  return { bytes, filled: 0, flushed: 0, before: frames, lastFrame: frames, numberedTo: 0, end: octets };
}

/** Keeps the numbered frames after `received` only, in place, all of them unwritten. */
export function compact(segment: Segment, received: number): void {
  const { bytes, filled } = segment;
  let number = segment.before;
  let kept = 0;
  for (let at = 0; at < filled; ) {
    const length = HEADER_LEN + ((bytes[at]! << 8) | bytes[at + 1]!);
    if (isNumbered(bytes[at + 2]!) && ++number > received) {
      bytes.copyWithin(kept, at, at + length);
      kept += length;
    }
    at += length;
  }
  segment.before = Math.max(segment.before, received);
  segment.filled = kept;
  segment.numberedTo = kept;
  segment.flushed = 0;
}

/**
 * Octets of payload that end a DATA frame with its TLS record: a write begins a
 * record, and a frame across two records costs the reader a copy.
 */
export function roomInRecord({ filled, flushed }: Segment): number {
  return MAX_FRAME - ((filled - flushed) % MAX_FRAME) - HEADER_LEN;
}
