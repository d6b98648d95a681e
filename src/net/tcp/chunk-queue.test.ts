import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ChunkQueue } from "./chunk-queue.ts";
import { COPY_BREAK } from "./limits.ts";

type Op =
  | { do: "push" | "gather"; length: number }
  | { do: "join"; lengths: number[] }
  | { do: "take" | "drop"; part: number }
  | { do: "pieces"; from: number; part: number };

const length = fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.constant(COPY_BREAK + 1));

const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ do: fc.constantFrom("push" as const, "gather" as const), length }),
  fc.record({ do: fc.constant("join" as const), lengths: fc.array(length, { minLength: 1, maxLength: 4 }) }),
  fc.record({
    do: fc.constantFrom("take" as const, "drop" as const),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  fc.record({
    do: fc.constant("pieces" as const),
    from: fc.double({ min: 0, max: 1, noNaN: true }),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
);

/** `deepEqual` takes seconds for these. */
function assertSame(got: Uint8Array, want: Buffer): void {
  assert.ok(want.equals(got));
}

test("a queue of chunks is a queue of octets", () => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 60, size: "max" }), (ops) => {
      const queue = new ChunkQueue();
      let model = Buffer.alloc(0);
      let next = 0;
      let pushed = 0;
      let released = 0;
      const made = (octets: number) => {
        const bytes = Uint8Array.from({ length: octets }, () => next++ & 0xff);
        model = Buffer.concat([model, bytes]);
        pushed++;
        const release = () => {
          released++;
          bytes.fill(0xdd);
        };
        return { bytes, release };
      };
      for (const step of ops) {
        if (step.do === "push" || step.do === "gather") {
          queue[step.do](made(step.length));
        } else if (step.do === "join") {
          const other = new ChunkQueue();
          for (const octets of step.lengths) other.gatherIfShort(made(octets));
          queue.join(other);
        } else if (step.do === "take" && model.length > 0) {
          const limit = 1 + Math.floor(step.part * model.length);
          const chunk = queue.take(limit);
          assert.ok(chunk.bytes.length > 0 && chunk.bytes.length <= limit);
          assertSame(chunk.bytes, model.subarray(0, chunk.bytes.length));
          model = model.subarray(chunk.bytes.length);
          chunk.release();
        } else if (step.do === "drop") {
          const octets = Math.floor(step.part * model.length);
          queue.drop(octets);
          model = model.subarray(octets);
        } else if (step.do === "pieces") {
          const from = Math.floor(step.from * model.length);
          const length = Math.floor(step.part * (model.length - from));
          const pieces: Uint8Array[] = [];
          queue.pieces(from, length, pieces);
          assertSame(Buffer.concat(pieces), model.subarray(from, from + length));
          assert.ok(pieces.every((piece) => piece.length > 0));
        }
        assert.equal(queue.octets, model.length);
      }
      queue.clear();
      assert.equal(queue.octets, 0);
      assert.equal(released, pushed);
    }),
    { numRuns: 100 },
  );
});
