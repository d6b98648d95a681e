import assert from "node:assert/strict";
import { test } from "node:test";
import { BadInputError } from "../../api/mod.ts";
import { timeOf } from "./audit.ts";

test("a time is RFC 3339 or a duration ago", () => {
  const now = Date.parse("2026-01-31T12:00:00Z");
  assert.equal(timeOf("2h", now), "2026-01-31T10:00:00.000Z");
  assert.equal(timeOf("90s", now), "2026-01-31T11:58:30.000Z");
  assert.equal(timeOf("2026-01-30T00:00:00+01:00", now), "2026-01-29T23:00:00.000Z");
  assert.throws(() => timeOf("yesterday", now), BadInputError);
});
