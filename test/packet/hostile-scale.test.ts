import assert from "node:assert/strict";
import { test } from "node:test";
import { hostileRun } from "./hostile-run.ts";

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const FRAMES = 150_000;
const CONNECTIONS = 50;
const GROWTH_MAX = 8 * 1024 * 1024;

test(`${FRAMES} hostile frames: no exception, nothing kept, and the stack works (npm run proof -- hostile: 20 million)`, async (t) => {
  const result = await hostileRun(SEED, FRAMES, CONNECTIONS);
  t.diagnostic(`SEED=${SEED}, ${(result.growth / 1024).toFixed(0)} KiB more heap, ${JSON.stringify(result.counters)}`);
  assert.equal(result.exception, undefined, `SEED=${SEED}`);
  assert.equal(result.connectionsRight, CONNECTIONS, `SEED=${SEED}`);
  assert.equal(result.heldAfter, 0, `SEED=${SEED}`);
  assert.ok(result.growth < GROWTH_MAX, `${result.growth} octets, SEED=${SEED}`);
  // It got as far as the application, or it was no test.
  assert.ok(
    result.accepted > 100 && result.taken > 10_000,
    `${result.accepted} accepted, ${result.taken} octets taken`,
  );
});
