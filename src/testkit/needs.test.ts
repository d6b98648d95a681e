import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import type { Need } from "./needs.ts";
import { runOk } from "./process.ts";

/** The keys of what `needs` answers, in a process without psql and sshd, as root or not. */
async function answer(names: Need[], env: Record<string, string>): Promise<string[]> {
  const script = `
    import { needs } from ${JSON.stringify(join(import.meta.dirname, "needs.ts"))};
    process.getuid = () => 1000;
    console.log(JSON.stringify(Object.keys(needs(...${JSON.stringify(names)}))));`;
  const command = [process.execPath, "--input-type=module", "-e", script];
  return JSON.parse(await runOk(command, { env: { PATH: "/nowhere", ...env } })) as string[];
}

test("a test that lacks nothing runs", async () => {
  assert.deepEqual(await answer([], { REQUIRE_ALL: "1" }), []);
});

test("a missing need skips, unless everything is required", async () => {
  assert.deepEqual(await answer(["psql"], {}), ["skip"]);
  assert.deepEqual(await answer(["psql"], { REQUIRE_ALL: "1" }), ["signal"]);
  assert.deepEqual(await answer(["root"], { REQUIRE_ALL: "1" }), ["signal"]);
});

test("an ordinary user's run may skip for root only", async () => {
  assert.deepEqual(await answer(["psql"], { REQUIRE_ALL_BUT_ROOT: "1" }), ["signal"]);
  assert.deepEqual(await answer(["root"], { REQUIRE_ALL_BUT_ROOT: "1" }), ["skip"]);
  assert.deepEqual(await answer(["root", "psql"], { REQUIRE_ALL_BUT_ROOT: "1" }), ["skip"]);
});
