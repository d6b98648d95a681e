/** The soak's short form; `npm run proof -- soak` runs for an hour and looks at memory as well. */
import assert from "node:assert/strict";
import test from "node:test";
import { soak } from "./soak.ts";

const SECONDS = 25;

test("random clients and random faults: no octet is wrong, no stream is lost", async (t) => {
  const seed = Date.now() % 2 ** 31;
  const result = await soak(SECONDS, seed);
  t.diagnostic(`seed ${seed}: ${JSON.stringify(result)}`);
  const { whole = 0, "given-up": givenUp = 0, ...lost } = result.streams;
  assert.deepEqual(lost, {}, `seed ${seed}`);
  assert.equal(result.wrong, 0, `seed ${seed}`);
  assert.ok(whole > 20 && givenUp > 0, `${whole} whole, ${givenUp} given up`);
  assert.ok(Object.values(result.faults).reduce((sum, count) => sum + count, 0) >= 3);
});
