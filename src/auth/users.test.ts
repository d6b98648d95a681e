import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AccessDeniedError, AlreadyExistsError, NotFoundError, UnauthenticatedError, type User } from "../api/mod.ts";
import { identityOf } from "../pki/mod.ts";
import { PASSWORD, TestAuth } from "./test-auth.ts";

let auth: TestAuth;
before(async () => {
  auth = await TestAuth.start();
  await auth.createUser("alice", ["access"]);
});
after(() => auth?.close());

test("a login gives a certificate with roles and traits, and both outcomes are audited", async () => {
  const alice = await auth.login("alice");
  const identity = identityOf(alice.certPem);
  assert.ok("kind" in identity && identity.kind === "user");
  assert.deepEqual([identity.user, identity.roles], ["alice", ["access"]]);
  assert.ok(Math.abs(identity.expires - Date.now() - 12 * 3_600_000) < 5_000);

  const wrong = await auth.login("alice", "wrong").catch((error: Error) => error);
  const unknown = await auth.login("mallory").catch((error: Error) => error);
  assert.ok(wrong instanceof UnauthenticatedError && unknown instanceof UnauthenticatedError);
  assert.equal(wrong.message, unknown.message, "nothing tells whether the user exists");
  const events = await auth.events("user.login");
  const last = (user: string) => events.findLast((event) => event.user === user)?.code;
  assert.deepEqual(
    [events.find((e) => e.user === "alice")?.code, last("alice"), last("mallory")],
    ["T1000I", "T1000W", "T1000W"],
  );
});

test("an unknown user costs the same work as a wrong password", async () => {
  const timed = async (user: string) => {
    const started = performance.now();
    await assert.rejects(auth.login(user, "wrong"));
    return performance.now() - started;
  };
  const [known, unknown] = [await timed("alice"), await timed("mallory")];
  assert.ok(unknown > known / 4, `known ${known} ms, unknown ${unknown} ms`);
});

test("the lifetime asked for is given, up to the role's bound", async () => {
  const short = identityOf((await auth.login("alice", PASSWORD, 60)).certPem);
  const long = identityOf((await auth.login("alice", PASSWORD, 1_000_000)).certPem);
  assert.ok("expires" in short && "expires" in long);
  assert.ok(Math.abs(short.expires - Date.now() - 60_000) < 5_000);
  assert.ok(Math.abs(long.expires - Date.now() - 30 * 3_600_000) < 5_000);
});

test("an invite is good once, names its user, and is stored as a hash only", async () => {
  const admin = await auth.admin();
  const { token, expires } = await admin.call("user.invite", { name: "ivy", roles: ["access"], ttl_seconds: 600 });
  assert.ok(Math.abs(Date.parse(expires) - Date.now() - 600_000) < 5_000);
  const stored = await auth.backend.range("/");
  assert.ok(!stored.some((item) => item.key.includes(token) || Buffer.from(item.value).includes(token)));

  const nobody = auth.client();
  assert.equal((await nobody.call("invite.read", { token })).user, "ivy");
  await assert.rejects(nobody.call("invite.accept", { token, password: "short" }), /at least 12/);
  // Two at once: one wins.
  const both = await Promise.allSettled([1, 2].map(() => nobody.call("invite.accept", { token, password: PASSWORD })));
  assert.deepEqual(both.map((r) => r.status).sort(), ["fulfilled", "rejected"]);
  await assert.rejects(nobody.call("invite.read", { token }), NotFoundError);
  await auth.login("ivy");

  await assert.rejects(admin.call("user.invite", { name: "ivy", roles: ["access"] }), AlreadyExistsError);
  await assert.rejects(admin.call("user.invite", { name: "jo", roles: ["nope"] }), /role "nope" does not exist/);
  const ttl_seconds = 49 * 3600;
  await assert.rejects(
    admin.call("user.invite", { name: "jo", roles: ["access"], ttl_seconds }),
    /valid for 48h at most/,
  );
  await assert.rejects(admin.call("user.reset", { name: "ivy", ttl_seconds }), /valid for 24h at most/);
});

test("a deleted user loses password, invites, sessions and what the certificate allowed", async () => {
  const admin = await auth.admin();
  await auth.createUser("kim", ["editor"]);
  const kim = await auth.login("kim");
  const { token } = await admin.call("user.invite", { name: "lee", roles: ["access"] });
  await admin.call("resource.delete", { kind: "user", name: "kim" });
  await admin.call("resource.delete", { kind: "user", name: "lee" });
  await assert.rejects(kim.call("resource.list", { kind: "user" }), UnauthenticatedError);
  await assert.rejects(auth.login("kim"), UnauthenticatedError);
  await admin.call("user.invite", { name: "lee", roles: ["editor"] });
  await assert.rejects(auth.client().call("invite.accept", { token, password: PASSWORD }), /not valid/);
});

test("a role taken from a user counts at once, one given at the next login", async () => {
  const admin = await auth.admin();
  await auth.createUser("max", ["editor"]);
  const max = await auth.login("max");
  await max.call("resource.list", { kind: "user" });
  const { resource } = await admin.call("resource.get", { kind: "user", name: "max" });
  const user = resource as User;
  await admin.call("resource.update", { resource: { ...user, spec: { ...user.spec, roles: ["access"] } } });
  await assert.rejects(max.call("resource.list", { kind: "user" }), AccessDeniedError);
});

test("lists come in pages", async () => {
  const admin = await auth.admin();
  const all = (await admin.call("resource.list", { kind: "user" })).resources.map((r) => r.metadata.name);
  const paged: string[] = [];
  for (let start: string | undefined, i = 0; i < 100; i++) {
    const page = await admin.call("resource.list", { kind: "user", limit: 2, ...(start !== undefined && { start }) });
    paged.push(...page.resources.map((r) => r.metadata.name));
    start = page.next;
    if (start === undefined) break;
  }
  assert.ok(all.length > 3);
  assert.deepEqual(paged, all);
});
