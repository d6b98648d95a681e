import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzzTunnel } from "../testkit/mod.ts";

// The long form: npm run proof -- tunnel-fuzz.
test("50,000 hostile inputs to dispatcher, tokens, control, data connections and links", async () => {
  const seed = Date.now() >>> 0;
  console.log(`seed ${seed}`);
  const found = await fuzzTunnel(seed, 50_000);
  // Of every kind enough, or the generator has lost its way.
  assert.ok(found.hellos.accepted! > 300 && found.hellos.incomplete! > 100, JSON.stringify(found.hellos));
  assert.ok(found.tokens.genuine! > 100 && found.tokens["not genuine"]! > 100, JSON.stringify(found.tokens));
  assert.ok(found.control.accepted! > 500 && found.control["control.syntax"]! > 100, JSON.stringify(found.control));
  assert.ok(found.data["greeting accepted"]! > 100 && found.data["route accepted"]! > 100, JSON.stringify(found.data));
  assert.ok(found.frames.accepted! > 500 && found.frames["link.frame-length"]! > 100, JSON.stringify(found.frames));
  assert.ok(Object.keys(found.links).length > 10 && found.links["still living"]! > 10, JSON.stringify(found.links));
});
