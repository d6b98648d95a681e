import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzzApi } from "./fuzz-run.ts";

const REQUESTS = 2_000;
const ALLOWANCE = 20 * 2 ** 20; // octets

// The long form, 100,000 requests: npm run proof -- api-fuzz
test(`${REQUESTS} requests that the API's schemas suggest: no 5xx, each answer by its schema, no growth`, async (t) => {
  const seed = Number(process.env.FUZZ_SEED ?? Date.now() >>> 0);
  t.diagnostic(`FUZZ_SEED=${seed}`);
  const { answers, heapBefore, heapAfter } = await fuzzApi(seed, REQUESTS, REQUESTS / 2);
  const statuses = new Set([...answers.values()].flatMap((counts) => [...counts.keys()]));
  // It got through to what it was to try.
  for (const status of [200, 400, 401, 403, 404]) assert.ok(statuses.has(status), `no ${status}, seed ${seed}`);
  assert.ok(heapAfter - heapBefore <= ALLOWANCE, `${heapBefore} → ${heapAfter} octets, seed ${seed}`);
});
