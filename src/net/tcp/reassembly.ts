import type { Chunk } from "../../base/mod.ts";
import { ChunkQueue } from "./chunk-queue.ts";
import { narrow, split } from "./chunks.ts";
import { OUT_OF_ORDER_BLOCKS } from "./limits.ts";
import * as seq from "./seq.ts";

/** Text that arrived ahead of a gap: blocks in order of their numbers, with a gap before each. */
export type OutOfOrder = Block[];

/** Contiguous text, in however many segments it came: what SACK calls a block (RFC 2018 §3). */
export interface Block {
  seq: number;
  end: number;
  text: ChunkQueue;
}

/**
 * Keeps those octets of `chunk`, which begins at `start`, that are not there
 * yet: what came first stays, so a later segment cannot rewrite it. Text that
 * touches a block joins it. The number of blocks is bounded; what would make
 * one more is released, unless it begins at `nxt`: then it will not stay.
 * False: the octet at `start` was not kept.
 */
export function keep(blocks: OutOfOrder, nxt: number, start: number, chunk: Chunk): boolean {
  let from = start;
  let rest = chunk;
  for (;;) {
    const at = firstBehind(blocks, from);
    const next = blocks[at];
    const { length } = rest.bytes;
    const gap = next === undefined ? length : seq.diff(next.seq, from);
    if (next !== undefined && gap <= 0) {
      // The front is there already.
      const known = seq.diff(next.end, from);
      if (known >= length) {
        rest.release();
        return true;
      }
      rest = narrow(rest, known, length);
      from = next.end;
    } else if (gap < length) {
      // It reaches into the next block: what lies before joins it, and on with the rest.
      const [before, beyond] = split(rest, gap);
      insert(blocks, at, from, before);
      rest = beyond;
      from = seq.add(from, gap);
    } else if (blocks.length < OUT_OF_ORDER_BLOCKS || from === nxt || touches(blocks, at, from, length)) {
      insert(blocks, at, from, rest);
      return true;
    } else {
      rest.release();
      return from !== start;
    }
  }
}

/** Does text in the gap before `blocks[at]` need no block of its own? */
function touches(blocks: OutOfOrder, at: number, from: number, length: number): boolean {
  return blocks[at - 1]?.end === from || blocks[at]?.seq === seq.add(from, length);
}

/** Puts text into the gap before `blocks[at]`, which it may fill or narrow. */
function insert(blocks: OutOfOrder, at: number, from: number, chunk: Chunk): void {
  const before = blocks[at - 1];
  const after = blocks[at];
  const end = seq.add(from, chunk.bytes.length);
  const text = before?.end === from ? before.text : new ChunkQueue();
  text.gatherIfShort(chunk);
  if (after?.seq === end) {
    text.join(after.text);
    after.text = text;
    after.seq = from;
    if (text !== before?.text) return;
    after.seq = before.seq;
    blocks.splice(at - 1, 1);
  } else if (text === before?.text) before.end = end;
  else blocks.splice(at, 0, { seq: from, end, text });
}

/** The block around `number`, if that is there. */
export function blockAround(blocks: OutOfOrder, number: number): Block | undefined {
  const block = blocks[firstBehind(blocks, number)];
  return block !== undefined && seq.le(block.seq, number) ? block : undefined;
}

/** Index of the first block that ends behind `number`: mostly the last one, or none. */
function firstBehind(blocks: OutOfOrder, number: number): number {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (seq.gt(blocks[middle]!.end, number)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Removes and returns the text that begins at `nxt`. */
export function takeBlock(blocks: OutOfOrder, nxt: number): ChunkQueue | undefined {
  return blocks[0]?.seq === nxt ? blocks.shift()!.text : undefined;
}

export function releaseBlocks(blocks: OutOfOrder): void {
  for (const { text } of blocks.splice(0)) text.clear();
}
