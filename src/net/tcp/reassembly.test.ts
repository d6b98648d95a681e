import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { OUT_OF_ORDER_RUNS } from "./limits.ts";
import { keep, type OutOfOrder, releaseRuns, takeRun } from "./reassembly.ts";
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

const segments = fc.array(fc.tuple(fc.nat(60), fc.uint8Array({ minLength: 1, maxLength: 20 })), { maxLength: 60 });

test("runs give what the slow reference gives, and every chunk goes back once", () => {
  fc.assert(
    fc.property(segments, fc.constantFrom(0, 1000, 2 ** 32 - 30), (arrivals, first) => {
      const reference = new Reference(first);
      const runs: OutOfOrder = [];
      let nxt = first;
      const released: number[] = [];
      arrivals.forEach(([offset, bytes], id) => {
        released.push(0);
        const start = seq.add(first, offset);
        const expected = reference.take(start, bytes);
        const skip = Math.max(0, seq.diff(nxt, start));
        if (skip >= bytes.length) {
          released[id] = 1;
        } else {
          const chunk = { bytes: bytes.slice(skip), release: () => released[id]!++ };
          assert.ok(keep(runs, nxt, seq.add(start, skip), chunk));
        }
        const got: number[] = [];
        for (let run = takeRun(runs, nxt); run !== undefined; run = takeRun(runs, nxt)) {
          got.push(...run.bytes);
          nxt = seq.add(nxt, run.bytes.length);
          run.release();
        }
        assert.deepEqual(got, expected);
      });
      releaseRuns(runs);
      assert.deepEqual(
        released,
        arrivals.map(() => 1),
      );
    }),
    { numRuns: 300 },
  );
});

test("long chunks are kept in place, and released when both their parts are", () => {
  const runs: OutOfOrder = [];
  let released = 0;
  const long = { bytes: new Uint8Array(60_000), release: () => released++ };
  keep(runs, 0, 30_000, { bytes: new Uint8Array(100), release: () => {} });
  keep(runs, 0, 10_000, long); // both sides of the first
  assert.deepEqual(
    runs.map((run) => [run.seq, run.chunk.bytes.length]),
    [
      [10_000, 20_000],
      [30_000, 100],
      [30_100, 39_900],
    ],
  );
  assert.equal(released, 0);
  takeRun(runs, 10_000)!.release();
  assert.equal(released, 0);
  releaseRuns(runs);
  assert.equal(released, 1);
});

test("no more than the limit of runs; what fills the gap is always taken", () => {
  const runs: OutOfOrder = [];
  const octet = () => ({ bytes: Uint8Array.of(1), release: () => {} });
  for (let i = 0; i < OUT_OF_ORDER_RUNS; i++) assert.ok(keep(runs, 0, 2 + 2 * i, octet()));
  assert.equal(keep(runs, 0, 5000, octet()), false);
  assert.ok(keep(runs, 0, 0, { bytes: new Uint8Array(2), release: () => {} }));
  assert.equal(takeRun(runs, 0)!.bytes.length, 2);
  assert.equal(takeRun(runs, 2)!.bytes.length, 1);
});
