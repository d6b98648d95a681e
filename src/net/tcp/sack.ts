import { blockAround, type OutOfOrder } from "./reassembly.ts";

/** Blocks remembered for repetition: a segment may join several of them to one. */
export const REMEMBERED = 8;

/** A segment ahead of a gap has come: its block is reported first (RFC 2018 §4). */
export function noteArrival(recent: number[], at: number): void {
  recent.unshift(at);
  if (recent.length > REMEMBERED) recent.length = REMEMBERED;
}

/**
 * The edges of up to `limit` blocks of what waits behind a gap: the newest
 * first, then those reported lately, again, as ACKs get lost (RFC 2018 §4).
 */
export function sackEdges(blocks: OutOfOrder, recent: number[], limit: number): number[] | undefined {
  const edges: number[] = [];
  const starts: number[] = [];
  for (const number of recent) {
    const block = blockAround(blocks, number);
    if (block === undefined || starts.includes(block.seq)) continue;
    starts.push(block.seq);
    if (edges.length < 2 * limit) edges.push(block.seq, block.end);
  }
  // Should most of what is remembered have joined, there is room for the highest of the others.
  for (let at = blocks.length - 1; at >= 0 && edges.length < 2 * limit; at--) {
    const block = blocks[at]!;
    if (starts.includes(block.seq)) continue;
    starts.push(block.seq);
    edges.push(block.seq, block.end);
  }
  recent.splice(0, recent.length, ...starts);
  return edges.length === 0 ? undefined : edges;
}
