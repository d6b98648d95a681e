import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzzDns } from "../testkit/mod.ts";

// The long form: npm run proof -- dns-fuzz.
test("20,000 hostile messages: values and replies, never an exception", async () => {
  const seed = Date.now() >>> 0;
  console.log(`seed ${seed}`);
  const { queries, answers, replies, oracle } = await fuzzDns(seed, 20_000);
  // Of every kind enough, or the generator has lost its way.
  assert.ok(queries.accepted! > 2_000 && queries["dns.name-pointer"]! > 50 && queries["dns.opt"]! > 10);
  assert.ok(answers.rewritten! > 500 && answers.untouched! > 500 && replies["rcode 0"]! > 500 && oracle > 100);
});
