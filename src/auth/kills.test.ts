import assert from "node:assert/strict";
import { test } from "node:test";
import { killAuth } from "../testkit/mod.ts";

// `npm run proof -- auth-kills` does it a hundred times.
test("Auth killed in the middle of writes: what was acknowledged is there, nothing half-done, the audit chain whole", async (t) => {
  const seed = Date.now() >>> 0;
  t.diagnostic(`seed ${seed}`);
  const { acknowledged, unanswered } = await killAuth({ kills: 4, seed });
  assert.ok(acknowledged > 0 && unanswered > 0);
});
