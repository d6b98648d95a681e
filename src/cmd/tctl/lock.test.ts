import assert from "node:assert/strict";
import { test } from "node:test";
import { lockSchema, parseValue } from "../../api/mod.ts";
import { UsageError } from "../cli/program.ts";
import { lockOf } from "./lock.ts";

test("flags make a lock that the schema takes", () => {
  const lock = parseValue(lockSchema, lockOf({ user: "alice", serverId: "h", message: "gone", ttl: 60 }, 0));
  assert.deepEqual(lock.spec, {
    target: { user: "alice", server_id: "h" },
    message: "gone",
    expires: "1970-01-01T00:01:00.000Z",
  });
  assert.equal(lockOf({ role: "dev" }, 0).spec.expires, undefined);
});

test("a lock without a target, or with two ends, is refused", () => {
  assert.throws(() => lockOf({ message: "x" }, 0), UsageError);
  assert.throws(() => lockOf({ user: "a", ttl: 1, expires: "2030-01-01T00:00:00Z" }, 0), UsageError);
});
