import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { exportsOf } from "./env.ts";

test("a shell that evaluates tsh env has the values, whatever is in them", () => {
  const values = { TELEPORT_PROXY: "p.test:443", TELEPORT_CLUSTER: 'it\'s $(id) `id` "x" é' };
  assert.match(exportsOf(values), /^export TELEPORT_PROXY=p\.test:443$/m);
  const script = 'eval "$1"; printf %s "$TELEPORT_PROXY|$TELEPORT_CLUSTER"';
  const printed = execFileSync("sh", ["-c", script, "sh", exportsOf(values)], { encoding: "utf8" });
  assert.equal(printed, `${values.TELEPORT_PROXY}|${values.TELEPORT_CLUSTER}`);
});
