import assert from "node:assert/strict";
import { test } from "node:test";
import { type Lock, lockSchema, parseValue } from "../api/mod.ts";
import { type LockSubject, lockInForce, lockMessage } from "./mod.ts";

const NOW = Date.parse("2026-06-01T12:00:00Z");

function lock(target: Lock["spec"]["target"], spec: Partial<Lock["spec"]> = {}): Lock {
  return { kind: "lock", version: "v2", metadata: { name: "l" }, spec: { target, ...spec } };
}

test("a lock stops what it targets and nothing else", () => {
  const alice: LockSubject = { user: "alice", roles: ["access", "dev"], app: "db", serverId: "h1", mfaDevice: "d1" };
  for (const [target, hit] of [
    [{ user: "alice" }, true],
    [{ user: "bob" }, false],
    [{ user: "access" }, false],
    [{ role: "dev" }, true],
    [{ role: "alice" }, false],
    [{ app: "db" }, true],
    [{ app: "other" }, false],
    [{ server_id: "h1" }, true],
    [{ server_id: "h2" }, false],
    [{ mfa_device: "d1" }, true],
    [{ mfa_device: "d2" }, false],
    [{ user: "bob", role: "dev" }, true],
    [{ user: "bob", app: "other" }, false],
  ] as const) {
    assert.equal(lockInForce([lock(target)], alice, NOW) !== undefined, hit, JSON.stringify(target));
  }
  assert.equal(lockInForce([lock({ user: "alice" })], {}, NOW), undefined);
});

test("a lock ends at its time", () => {
  const until = lock({ user: "alice" }, { expires: "2026-06-01T12:00:01Z" });
  assert.equal(lockInForce([until], { user: "alice" }, NOW), until);
  assert.equal(lockInForce([until], { user: "alice" }, NOW + 1000), undefined);
});

test("the message names what is locked and says why", () => {
  const subject = { user: "alice", roles: ["dev"] };
  assert.equal(lockMessage(lock({ user: "alice" }), subject), 'lock targeting User:"alice" is in force');
  const why = lock({ user: "bob", role: "dev" }, { message: "leaving" });
  assert.equal(lockMessage(why, subject), 'lock targeting Role:"dev" is in force: leaving');
});

test("a lock needs a target, and one that is enforced", () => {
  assert.throws(() => parseValue(lockSchema, lock({})), /needs at least one of user, role, app, server_id/);
  assert.throws(() => parseValue(lockSchema, lock({ windows_desktop: "x" } as object)), /not enforced/);
  assert.equal(parseValue(lockSchema, lock({ user: "a" })).metadata.name, "l");
});
