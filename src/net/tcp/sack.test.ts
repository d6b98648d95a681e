import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { plainChunk } from "../../base/mod.ts";
import { keep, type OutOfOrder, takeBlock } from "./reassembly.ts";
import { noteArrival, REMEMBERED, sackEdges } from "./sack.ts";
import * as seq from "./seq.ts";

/** The slow reference: the block around an octet, octet by octet. */
function blockIn(present: Set<number>, at: number): [number, number] | undefined {
  if (!present.has(at)) return undefined;
  let [start, end] = [at, at];
  while (present.has(start - 1)) start--;
  while (present.has(end)) end++;
  return [start, end];
}

test("blocks are those of the slow reference, the newest first, none twice", () => {
  const arrivals = fc.array(fc.tuple(fc.integer({ min: 1, max: 80 }), fc.integer({ min: 1, max: 9 })), {
    maxLength: 40,
    size: "max",
  });
  fc.assert(
    fc.property(arrivals, fc.constantFrom(0, 2 ** 32 - 50), fc.constantFrom(3, 4), (list, first, limit) => {
      const blocks: OutOfOrder = [];
      const recent: number[] = [];
      const present = new Set<number>();
      let order: number[] = [];
      for (const [at, length] of list) {
        keep(blocks, first, seq.add(first, at), plainChunk(new Uint8Array(length)));
        noteArrival(recent, seq.add(first, at));
        for (let i = 0; i < length; i++) present.add(at + i);
        order = [at, ...order];
        const edges = sackEdges(blocks, recent, limit) ?? [];
        const got: [number, number][] = [];
        for (let i = 0; i < edges.length; i += 2)
          got.push([seq.diff(edges[i]!, first), seq.diff(edges[i + 1]!, first)]);
        const wanted: [number, number][] = [];
        for (const number of order) {
          const block = blockIn(present, number)!;
          if (!wanted.some(([start]) => start === block[0])) wanted.push(block);
        }
        assert.deepEqual(got[0], wanted[0], "RFC 2018 §4: the block of the segment that came");
        assert.equal(got.length, Math.min(limit, wanted.length), "repeated, as ACKs get lost");
        const unlike = got.filter((block) => !wanted.some((other) => other[0] === block[0] && other[1] === block[1]));
        assert.deepEqual(unlike, []);
        assert.equal(new Set(got.map(([start]) => start)).size, got.length);
        // While all are remembered, in the order of their coming.
        if (order.length <= REMEMBERED) assert.deepEqual(got, wanted.slice(0, limit));
      }
      assert.equal(takeBlock(blocks, first), undefined);
    }),
    { numRuns: 300 },
  );
});
