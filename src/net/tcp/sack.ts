import type { OutOfOrder } from "./reassembly.ts";
import * as seq from "./seq.ts";

/** Blocks remembered for repetition: a segment may join several of them to one. */
const REMEMBERED = 8;

/** A segment ahead of a gap has come: its block is reported first (RFC 2018 §4). */
export function noteArrival(recent: number[], at: number): void {
  recent.unshift(at);
  if (recent.length > REMEMBERED) recent.length = REMEMBERED;
}

/**
 * The edges of up to `limit` blocks of what waits behind a gap: the newest
 * first, then those reported lately, again, as ACKs get lost (RFC 2018 §4).
 */
export function sackEdges(runs: OutOfOrder, recent: number[], limit: number): number[] | undefined {
  const edges: number[] = [];
  const starts: number[] = [];
  for (const number of recent) {
    const block = blockAround(runs, number);
    if (block === undefined || starts.includes(block[0])) continue;
    starts.push(block[0]);
    if (edges.length < 2 * limit) edges.push(block[0], block[1]);
  }
  recent.splice(0, recent.length, ...starts);
  return edges.length === 0 ? undefined : edges;
}

/** The contiguous text around `number`; its runs may be several. */
function blockAround(runs: OutOfOrder, number: number): [number, number] | undefined {
  let start = 0;
  let end = 0;
  let inside = false;
  for (const run of runs) {
    if (run.seq !== end || !inside) {
      if (inside && seq.lt(number, end)) break;
      if (seq.gt(run.seq, number)) return undefined;
      start = run.seq;
    }
    inside = true;
    end = seq.add(run.seq, run.chunk.bytes.length);
  }
  return inside && seq.ge(number, start) && seq.lt(number, end) ? [start, end] : undefined;
}
