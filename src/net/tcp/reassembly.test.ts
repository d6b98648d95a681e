import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { plainChunk } from "../../base/mod.ts";
import type { ChunkQueue } from "./chunk-queue.ts";
import { OUT_OF_ORDER_BLOCKS } from "./limits.ts";
import { keep, type OutOfOrder, releaseBlocks, takeBlock } from "./reassembly.ts";
import * as seq from "./seq.ts";

/** The slow reference: one octet at a time, first come, first kept. */
class Reference {
  readonly #octets = new Map<number, number>();
  #nxt: number;

  constructor(nxt: number) {
    this.#nxt = nxt;
  }

  take(start: number, bytes: Uint8Array): number[] {
    bytes.forEach((octet, i) => {
      const at = seq.add(start, i);
      if (seq.ge(at, this.#nxt) && !this.#octets.has(at)) this.#octets.set(at, octet);
    });
    const ready: number[] = [];
    for (; this.#octets.has(this.#nxt); this.#nxt = seq.add(this.#nxt, 1)) {
      ready.push(this.#octets.get(this.#nxt)!);
      this.#octets.delete(this.#nxt);
    }
    return ready;
  }
}

const segments = fc.array(fc.tuple(fc.nat(60), fc.uint8Array({ minLength: 1, maxLength: 20 })), {
  maxLength: 60,
  size: "max",
});

function octetsOf(text: ChunkQueue | undefined): number[] {
  const octets: number[] = [];
  while (text !== undefined && text.octets > 0) {
    const chunk = text.take(text.octets);
    octets.push(...chunk.bytes);
    chunk.release();
  }
  return octets;
}

function edges(blocks: OutOfOrder): [number, number][] {
  return blocks.map((block) => [block.seq, block.end]);
}

type Arrivals = [offset: number, octets: Uint8Array][];

/** `scale`: octets for each of the model's. Long chunks stay where they are, short ones are copied. */
function compare(arrivals: Arrivals, first: number, scale: number): void {
  const reference = new Reference(first);
  const blocks: OutOfOrder = [];
  let nxt = first;
  const released: number[] = [];
  arrivals.forEach(([offset, octets], id) => {
    released.push(0);
    const bytes = Uint8Array.from({ length: octets.length * scale }, (_, i) => octets[Math.floor(i / scale)]! + i);
    const start = seq.add(first, offset * scale);
    const expected = reference.take(start, bytes);
    const skip = Math.max(0, seq.diff(nxt, start));
    if (skip >= bytes.length) released[id] = 1;
    else {
      const chunk = { bytes: bytes.subarray(skip), release: () => released[id]!++ };
      assert.ok(keep(blocks, nxt, seq.add(start, skip), chunk));
    }
    const got = octetsOf(takeBlock(blocks, nxt));
    nxt = seq.add(nxt, got.length);
    assert.ok(Buffer.from(got).equals(Buffer.from(expected)));
    for (const [i, block] of blocks.entries()) {
      assert.equal(block.text.octets, seq.diff(block.end, block.seq));
      assert.ok(seq.gt(block.seq, i === 0 ? nxt : blocks[i - 1]!.end), "a gap before each");
    }
  });
  releaseBlocks(blocks);
  assert.ok(released.every((times) => times === 1));
}

test("blocks give what the slow reference gives, and every chunk goes back once", () => {
  const first = fc.constantFrom(0, 1000, 2 ** 32 - 30);
  fc.assert(
    fc.property(segments, first, (arrivals, nxt) => compare(arrivals, nxt, 1)),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(segments, first, (arrivals, nxt) => compare(arrivals.slice(0, 12), nxt, 3000)),
    { numRuns: 30 },
  );
});

test("long chunks are kept in place, and released when both their parts are", () => {
  const blocks: OutOfOrder = [];
  let released = 0;
  const long = { bytes: new Uint8Array(60_000), release: () => released++ };
  keep(blocks, 0, 30_000, { bytes: new Uint8Array(100), release: () => {} });
  keep(blocks, 0, 10_000, long); // both sides of the first
  assert.deepEqual(edges(blocks), [[10_000, 70_000]]);
  assert.equal(released, 0);
  const text = takeBlock(blocks, 10_000)!;
  text.take(20_000).release();
  assert.equal(released, 0);
  text.clear();
  assert.equal(released, 1);
});

const octet = () => plainChunk(Uint8Array.of(1));

test("no more than the limit of blocks; what joins one, or fills the first gap, is always taken", () => {
  const blocks: OutOfOrder = [];
  for (let i = 0; i < OUT_OF_ORDER_BLOCKS; i++) assert.ok(keep(blocks, 0, 3 + 3 * i, octet()));
  assert.equal(keep(blocks, 0, 9000, octet()), false);
  assert.ok(keep(blocks, 0, 4, octet()), "behind one");
  assert.ok(keep(blocks, 0, 8, octet()), "before one");
  assert.ok(keep(blocks, 0, 3, plainChunk(new Uint8Array(9000))), "its front is there, its end is not taken");
  assert.equal(blocks.length, 1);
  assert.ok(keep(blocks, 0, 0, plainChunk(new Uint8Array(2))));
  assert.equal(takeBlock(blocks, 0)!.octets, 2);
  assert.equal(takeBlock(blocks, 2), undefined);
});

test("behind one gap the whole window is kept, in however many segments", () => {
  const blocks: OutOfOrder = [];
  const [length, count] = [1460, 5000];
  for (let i = 1; i <= count; i++) assert.ok(keep(blocks, 0, i * length, plainChunk(new Uint8Array(length))));
  assert.deepEqual(edges(blocks), [[length, (count + 1) * length]]);
});

test("text of single octets takes memory in proportion, in whichever order it comes", () => {
  const COUNT = 150 * 256;
  /** Growing blocks, one block growing at its front, and blocks that are joined two by two. */
  const orders: [string, (i: number) => number][] = [
    ["forwards", (i) => i],
    ["backwards", (i) => COUNT - 1 - i],
    ["every other one, then those between", (i) => (i & ~0xff) + (i & 0x80 ? 2 * (i & 0x7f) + 1 : 2 * (i & 0x7f))],
    ["the same from behind", (i) => COUNT + 0xff - (i & ~0xff) - (i & 0x80 ? 2 * (i & 0x7f) + 1 : 2 * (i & 0x7f))],
  ];
  for (const [name, order] of orders) {
    const blocks: OutOfOrder = [];
    for (let i = 0; i < COUNT; i++) keep(blocks, 0, 10 + order(i), octet());
    assert.equal(blocks.length, 1, name);
    let pieces = 0;
    let room = 0;
    for (const { text } of blocks) {
      while (text.octets > 0) {
        pieces++;
        room += text.take(text.octets).bytes.buffer.byteLength;
      }
    }
    assert.ok(room < 4 * COUNT, `${name}: ${room} octets of memory for ${COUNT}`);
    assert.ok(pieces < COUNT / 1000, `${name}: ${pieces} pieces`);
  }
});
