import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { virtualClock } from "../testkit/mod.ts";
import { staggered } from "./staggered.ts";

/** Sources by name; each attempt is settled by hand. */
function race(names: string[], o: { isFinal?: (error: unknown) => boolean; signal?: AbortSignal } = {}) {
  const clock = virtualClock();
  const attempts = new Map<string, PromiseWithResolvers<string> & { signal: AbortSignal }>();
  const dropped: string[] = [];
  const result = staggered(names, {
    attempt(name, signal) {
      const attempt = { ...Promise.withResolvers<string>(), signal };
      attempts.set(name, attempt);
      return attempt.promise;
    },
    drop: (late) => void dropped.push(late),
    isFinal: o.isFinal ?? (() => false),
    worse: (a, b) => (String(b).includes("unreachable") ? b : a),
    signal: o.signal ?? new AbortController().signal,
    clock,
    staggerMs: 1_000,
  });
  result.catch(() => {});
  return { clock, attempts, dropped, result, started: () => [...attempts.keys()] };
}

test("the next source is tried when one has failed, or has taken its time", async () => {
  const { clock, attempts, result, started } = race(["a", "b", "c"]);
  assert.deepEqual(started(), ["a"]);
  attempts.get("a")!.reject(new Error("unreachable"));
  await turn();
  assert.deepEqual(started(), ["a", "b"]);
  clock.advance(999);
  assert.deepEqual(started(), ["a", "b"]);
  clock.advance(1);
  assert.deepEqual(started(), ["a", "b", "c"]);
  attempts.get("c")!.resolve("c");
  assert.equal(await result, "c");
  assert.equal(attempts.get("b")!.signal.aborted, true, "the slower one is given up");
});

test("what succeeds too late is dropped", async () => {
  const { clock, attempts, dropped, result } = race(["a", "b"]);
  clock.advance(1_000);
  attempts.get("b")!.resolve("b");
  assert.equal(await result, "b");
  attempts.get("a")!.resolve("a");
  await turn();
  assert.deepEqual(dropped, ["a"]);
});

test("of all failures the most telling one is told; a final one at once", async () => {
  const all = race(["a", "b"]);
  all.attempts.get("a")!.reject(new Error("no agent"));
  await turn();
  all.attempts.get("b")!.reject(new Error("unreachable"));
  await assert.rejects(all.result, /no agent/);

  const final = race(["a", "b"], { isFinal: () => true });
  final.attempts.get("a")!.reject(new Error("access denied"));
  await assert.rejects(final.result, /access denied/);
  assert.deepEqual(final.started(), ["a"]);
});

test("given up by the caller: its reason, and no further source", async () => {
  const abort = new AbortController();
  const { attempts, result, started } = race(["a", "b"], { signal: abort.signal });
  abort.abort(new Error("enough"));
  attempts.get("a")!.reject(new Error("aborted"));
  await assert.rejects(result, /enough/);
  assert.deepEqual(started(), ["a"]);
});
