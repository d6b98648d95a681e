import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ChunkQueue } from "./chunk-queue.ts";

type Op =
  | { do: "push" | "gather"; length: number }
  | { do: "take" | "drop"; part: number }
  | { do: "copy"; from: number; part: number };

const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ do: fc.constantFrom("push" as const, "gather" as const), length: fc.integer({ min: 1, max: 3000 }) }),
  fc.record({
    do: fc.constantFrom("take" as const, "drop" as const),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  fc.record({
    do: fc.constant("copy" as const),
    from: fc.double({ min: 0, max: 1, noNaN: true }),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
);

test("a queue of chunks is a queue of octets", () => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 150 }), (ops) => {
      const queue = new ChunkQueue();
      let model: number[] = [];
      let next = 0;
      let pushed = 0;
      let released = 0;
      for (const step of ops) {
        if (step.do === "push" || step.do === "gather") {
          const bytes = Uint8Array.from({ length: step.length }, () => next++ & 0xff);
          model.push(...bytes);
          pushed++;
          queue[step.do]({
            bytes,
            release: () => {
              released++;
              bytes.fill(0xdd);
            },
          });
        } else if (step.do === "take" && model.length > 0) {
          const limit = 1 + Math.floor(step.part * model.length);
          const chunk = queue.take(limit);
          assert.ok(chunk.bytes.length > 0 && chunk.bytes.length <= limit);
          assert.deepEqual([...chunk.bytes], model.slice(0, chunk.bytes.length));
          model = model.slice(chunk.bytes.length);
          chunk.release();
        } else if (step.do === "drop") {
          const octets = Math.floor(step.part * model.length);
          queue.drop(octets);
          model = model.slice(octets);
        } else if (step.do === "copy") {
          const from = Math.floor(step.from * model.length);
          const length = Math.floor(step.part * (model.length - from));
          const target = new Uint8Array(length + 2);
          queue.copy(from, length, target, 1);
          assert.deepEqual([...target], [0, ...model.slice(from, from + length), 0]);
        }
        assert.equal(queue.octets, model.length);
      }
      queue.clear();
      assert.equal(queue.octets, 0);
      assert.equal(released, pushed);
    }),
    { numRuns: 150 },
  );
});
