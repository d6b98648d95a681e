import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { withProgress } from "./progress.ts";

function terminal(isTTY: boolean) {
  const written: string[] = [];
  return { isTTY, written, write: (text: string) => written.push(text) };
}

test("what takes longer than a second is said on a terminal, with the time, and wiped out", async () => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  const screen = terminal(true);
  const work = Promise.withResolvers<string>();
  const result = withProgress("asking p.test", work.promise, screen);
  mock.timers.tick(999);
  assert.deepEqual(screen.written, []);
  mock.timers.tick(1);
  mock.timers.tick(1_000);
  assert.equal(screen.written.length, 2);
  assert.match(screen.written[0]!, /asking p\.test … \d+ s$/);
  work.resolve("done");
  assert.equal(await result, "done");
  assert.equal(screen.written.at(-1), "\r\x1b[K");
  mock.timers.tick(5_000);
  assert.equal(screen.written.length, 3);
  mock.timers.reset();
});

test("what is quick, or not on a terminal, is not said; a failure passes through", async () => {
  const screen = terminal(true);
  assert.equal(await withProgress("x", Promise.resolve(1), screen), 1);
  await assert.rejects(withProgress("x", Promise.reject(new Error("away")), screen), /away/);
  const pipe = terminal(false);
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  const work = Promise.withResolvers<number>();
  const result = withProgress("x", work.promise, pipe);
  mock.timers.tick(10_000);
  work.resolve(2);
  assert.equal(await result, 2);
  mock.timers.reset();
  assert.deepEqual([...screen.written, ...pipe.written], []);
});
