import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { UNPOOLED } from "../base/mod.ts";
import { PieceQueue } from "./pieces.ts";

// The oracle: one plain array of octets.
test("what goes in comes out in order, and what was handed out does not change", () => {
  const push = fc.record({ push: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 9000 })) });
  const take = fc.record({ take: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20_000 })) });
  fc.assert(
    fc.property(fc.array(fc.oneof(push, push, take), { maxLength: 120 }), (steps) => {
      const queue = new PieceQueue();
      const expected: number[] = [];
      const out: Array<[bytes: Uint8Array, copy: Uint8Array]> = [];
      let next = 0;
      for (const step of steps) {
        if ("push" in step) {
          const bytes = Uint8Array.from({ length: step.push }, () => next++ & 0xff);
          queue.push(bytes, UNPOOLED);
          expected.push(...bytes);
        } else if (queue.length > 0) {
          const { bytes } = queue.take(step.take);
          assert.ok(bytes.length > 0 && bytes.length <= step.take);
          out.push([bytes, bytes.slice()]);
        }
      }
      while (queue.length > 0) out.push([queue.take(7000).bytes, new Uint8Array(0)]);
      const all = Buffer.concat(out.map(([bytes]) => bytes));
      assert.ok(all.equals(Buffer.from(expected)));
      for (const [bytes, copy] of out) if (copy.length > 0) assert.deepEqual(bytes, copy);
    }),
    { numRuns: 200 },
  );
});

test("single octets of large buffers cost little more than themselves", () => {
  const queue = new PieceQueue();
  for (let i = 0; i < 20_000; i++) queue.push(new Uint8Array(16_384).subarray(0, 1), UNPOOLED);
  const memory = new Set<ArrayBufferLike>();
  let objects = 0;
  while (queue.length > 0) {
    memory.add(queue.take(1_000_000).bytes.buffer);
    objects++;
  }
  const octets = [...memory].reduce((sum, buffer) => sum + buffer.byteLength, 0);
  assert.ok(octets < 60_000 && objects < 20, `${octets} octets in ${objects} pieces`);
});

test("each lease is released once, when the last octet of its memory is given back or dropped", () => {
  const queue = new PieceQueue();
  const held = { retained: 0, released: 0 };
  const lease = { retain: () => held.retained++, release: () => held.released++ };
  for (let i = 0; i < 3; i++) queue.push(new Uint8Array(9000), lease);
  queue.push(new Uint8Array(10), lease); // Gathered, so not held.
  const chunks = [queue.take(5000), queue.take(9000)];
  assert.equal(held.retained - held.released, 4); // Two chunks, of one piece; and the two others.
  queue.clear();
  assert.equal(held.retained - held.released, 2);
  for (const chunk of chunks) chunk.release();
  assert.equal(held.retained, held.released);
});
