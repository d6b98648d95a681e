import assert from "node:assert/strict";
import { test } from "node:test";
import { versionObjection } from "./mod.ts";

test("one major version apart works together; more is refused with what to install", () => {
  for (const near of ["16.0.0", "16.9.9-dev", "17.0.0", "17.7.2", "18.3.1"]) {
    assert.equal(versionObjection(near, "17.7.2"), undefined, near);
  }
  for (const far of ["15.5.4", "19.0.0", "2.0.0", "117.0.0"]) {
    const sentence = versionObjection(far, "17.7.2");
    assert.ok(sentence?.startsWith(`version ${far} `) && sentence.endsWith("install version 17.7.2 on this machine"));
  }
  for (const odd of ["", "17", "v17.0.0", "x".repeat(10_000), "17.7.2; rm"]) {
    assert.match(versionObjection(odd, "19.0.0") ?? "", /is not a version|does not work/, odd.slice(0, 20));
  }
});
