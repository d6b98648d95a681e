import assert from "node:assert/strict";
import { test } from "node:test";
import { LimitExceededError, type User } from "../api/mod.ts";
import { virtualClock } from "../testkit/mod.ts";
import { MAX_FAILED_LOGINS_PER_ADDRESS } from "./limits.ts";
import { LoginLimits } from "./login-limits.ts";
import { TestAuth } from "./test-auth.ts";

const HERE = "192.0.2.1";

test("five failures stop a name for 20 minutes, whoever asks and whether or not it exists", async () => {
  const clock = virtualClock();
  const limits = new LoginLimits(clock);
  const start = clock.wallMs();
  const outcomes = [1, 2, 3, 4, 5].map(() => limits.failed({ user: "a", address: HERE }));
  assert.deepEqual(
    outcomes.map((each) => each.lockedUntil),
    [undefined, undefined, undefined, undefined, start + 20 * 60_000],
  );
  const who = { user: "a", address: "192.0.2.2" };
  await assert.rejects(
    limits.attempt(who, async () => 1),
    LimitExceededError,
  );
  assert.equal(await limits.attempt({ ...who, user: "b" }, async () => 1), 1);
  clock.advance(20 * 60_000 - 1);
  await assert.rejects(
    limits.attempt(who, async () => 1),
    /for this user/,
  );
  clock.advance(1);
  assert.equal(await limits.attempt(who, async () => 1), 1);
});

test("a success forgets the failures before it", () => {
  const limits = new LoginLimits(virtualClock());
  for (let i = 0; i < 4; i++) limits.failed({ user: "a", address: HERE });
  limits.forget("a");
  for (let i = 0; i < 4; i++) assert.deepEqual(limits.failed({ user: "a", address: HERE }), {});
});

test("one address may fail with many names only so often", async () => {
  const clock = virtualClock();
  const limits = new LoginLimits(clock);
  for (let i = 0; i < MAX_FAILED_LOGINS_PER_ADDRESS; i++) limits.failed({ user: `u${i}`, address: HERE });
  await assert.rejects(
    limits.attempt({ user: "x", address: HERE }, async () => 1),
    /from your address/,
  );
  assert.equal(await limits.attempt({ user: "x", address: "192.0.2.2" }, async () => 1), 1);
  clock.advance(60_000);
  assert.equal(await limits.attempt({ user: "x", address: HERE }, async () => 1), 1);
});

test("a hundred attempts at once are five", async () => {
  const limits = new LoginLimits(virtualClock());
  let tried = 0;
  const attempts = Array.from({ length: 100 }, () =>
    limits.attempt({ user: "a", address: HERE }, async () => {
      tried++;
      await new Promise(setImmediate);
      limits.failed({ user: "a", address: HERE });
    }),
  );
  await Promise.allSettled(attempts);
  assert.equal(tried, 5);
});

test("a user who is locked out is shown as such, keeps what is open, and is let in again by an administrator", async (t) => {
  const auth = await TestAuth.start();
  t.after(() => auth.close());
  const admin = await auth.admin();
  await auth.createUser("alice", ["access"]);
  const open = await auth.login("alice");
  for (let i = 0; i < 5; i++) await assert.rejects(auth.login("alice", "wrong"), /invalid username or password/);
  await assert.rejects(auth.login("alice"), /too many failed logins for this user/, "the right password too");
  const locked = (await admin.call("resource.get", { kind: "user", name: "alice" })).resource as User;
  assert.equal(locked.spec.status?.is_locked, true);
  const leftMs = Date.parse(locked.spec.status?.lock_expires ?? "") - Date.now();
  assert.ok(leftMs > 19 * 60_000 && leftMs <= 20 * 60_000);
  await open.call("resource.list", { kind: "app_server" }); // others' guesses end nobody's work

  await auth.restart();
  await assert.rejects(auth.login("alice"), /too many failed logins/, "a restart forgets nothing");
  const failed = (await auth.events("user.login")).filter((event) => event.success === false);
  assert.equal(failed.length, 7);

  const { status: _, ...spec } = locked.spec;
  const again = await auth.admin();
  await again.call("resource.update", { resource: { ...locked, spec } });
  await auth.login("alice");
});

test("guesses that the limit refuses do not fill the audit log", async (t) => {
  const auth = await TestAuth.start();
  t.after(() => auth.close());
  for (let i = 0; i < 12; i++) await assert.rejects(auth.login("nobody", "wrong"));
  assert.equal((await auth.events("user.login")).length, 6, "five, and the first that was one too many");
});
