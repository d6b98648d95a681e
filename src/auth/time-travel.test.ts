import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { afterEach, test } from "node:test";
import { AccessDeniedError, NotFoundError, type Token, UnauthenticatedError } from "../api/mod.ts";
import { createCsr, generateKeyPair, identityOf } from "../pki/mod.ts";
import { joinCluster, type RpcClient } from "../rpc/mod.ts";
import { type VirtualClock, virtualClock } from "../testkit/mod.ts";
import { announce, appServer, newCsr, PASSWORD, TestAuth } from "./test-auth.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

let auth: TestAuth;
afterEach(() => auth?.close());

async function start(): Promise<{ clock: VirtualClock; admin: RpcClient }> {
  const clock = virtualClock({ wallMs: Date.now() - 60 * DAY_MS });
  auth = await TestAuth.start({}, clock);
  return { clock, admin: await auth.admin() };
}

function iso(wallMs: number): string {
  return new Date(wallMs).toISOString();
}

test("a login ends with its certificate: calls are refused, and a watch that is open ends", async () => {
  const { clock } = await start();
  await auth.createUser("alice", ["access"]);
  const alice = await auth.login("alice", PASSWORD, 3600);
  const watch = alice.watch(["app_server"]);
  assert.equal((await watch.next()).value?.type, "init");
  clock.advance(HOUR_MS - MINUTE_MS);
  await alice.call("resource.list", { kind: "app_server" });
  clock.advance(MINUTE_MS + 1_000);
  await assert.rejects(watch.next(), /has expired: log in again/);
  await assert.rejects(alice.call("resource.list", { kind: "app_server" }), UnauthenticatedError);
});

test("without a wish a login lives 12 hours, and never longer than the roles allow", async () => {
  const { clock } = await start();
  await auth.createUser("alice", ["access"]);
  const livesHours = async (ttlSeconds?: number) => {
    const identity = identityOf((await auth.login("alice", PASSWORD, ttlSeconds)).certPem);
    assert.ok("kind" in identity && identity.kind === "user");
    return Math.round((identity.expires - clock.wallMs()) / HOUR_MS);
  };
  assert.deepEqual([await livesHours(), await livesHours(100 * 3600)], [12, 30]);
});

test("an app session's certificate is renewed with its key, and the session ends with the login", async () => {
  const { clock, admin } = await start();
  await auth.createUser("alice", ["access"]);
  const agent = await auth.host("App");
  const beat = () => announce(agent, appServer(agent.hostId, "db"));
  await beat();
  const alice = await auth.login("alice", PASSWORD, 2 * 3600);
  const csr = await createCsr(await generateKeyPair());
  const first = await alice.call("app_session.create", { app: "db", csr });
  assert.equal(Date.parse(first.expires) - clock.wallMs(), HOUR_MS);
  clock.advance(HOUR_MS / 2);
  await beat();
  const second = await alice.call("app_session.renew", { session_id: first.session_id, csr });
  assert.equal(second.session_id, first.session_id);
  assert.equal(Date.parse(second.expires) - Date.parse(first.expires), HOUR_MS / 2);
  clock.advance(HOUR_MS + 15 * MINUTE_MS);
  await beat();
  const last = await alice.call("app_session.renew", { session_id: first.session_id, csr });
  assert.ok(Date.parse(last.expires) - clock.wallMs() <= 15 * MINUTE_MS, "not beyond the login");
  const session = { kind: "app_session", name: first.session_id } as const;
  await admin.call("resource.get", session);
  clock.advance(15 * MINUTE_MS);
  await assert.rejects(admin.call("resource.get", session), NotFoundError);
});

test("a join token is good until its time, and is gone then", async () => {
  const { clock, admin } = await start();
  const name = "a-token-for-half-an-hour";
  const metadata = { name, expires: iso(clock.wallMs() + 30 * MINUTE_MS) };
  const resource: Token = { kind: "token", version: "v2", metadata, spec: { roles: ["App"] } };
  await admin.call("resource.create", { resource });
  const join = () => joinCluster({ dial: auth.dial, token: name, roles: ["App"], hostId: randomUUID(), nodeName: "n" });
  clock.advance(30 * MINUTE_MS - 1);
  const joined = await join();
  clock.advance(1);
  await assert.rejects(join(), /not valid or has expired/);
  await assert.rejects(admin.call("resource.get", { kind: "token", name }), NotFoundError);
  // What joined by it stays.
  await announce(auth.client(joined), appServer(hostIdOf(joined.certPem), "db"));
});

function hostIdOf(certPem: string): string {
  const identity = identityOf(certPem);
  assert.ok("kind" in identity && identity.kind === "host");
  return identity.hostId;
}

test("a lock lapses at its time, and what it stopped goes on without being asked", async () => {
  const { clock, admin } = await start();
  await auth.createUser("alice", ["access"]);
  const alice = await auth.login("alice");
  const spec = { target: { user: "alice" }, expires: iso(clock.wallMs() + HOUR_MS) };
  await admin.call("resource.create", { resource: { kind: "lock", version: "v2", metadata: { name: "l" }, spec } });
  clock.advance(HOUR_MS - 1);
  await assert.rejects(alice.call("resource.list", { kind: "app_server" }), AccessDeniedError);
  clock.advance(1);
  await alice.call("resource.list", { kind: "app_server" });
  await assert.rejects(admin.call("resource.get", { kind: "lock", name: "l" }), NotFoundError);
});

test("an app is announced for ten minutes; renewed it stays, else it is gone for everybody", async () => {
  const { clock } = await start();
  await auth.createUser("alice", ["access"]);
  const alice = await auth.login("alice");
  const agent = await auth.host("App");
  const announced = async () => (await alice.call("resource.list", { kind: "app_server" })).resources.length;
  await announce(agent, appServer(agent.hostId, "db"));
  clock.advance(9 * MINUTE_MS);
  await announce(agent, appServer(agent.hostId, "db"));
  clock.advance(9 * MINUTE_MS);
  assert.equal(await announced(), 1);
  clock.advance(MINUTE_MS);
  assert.equal(await announced(), 0);
  await assert.rejects(alice.call("app_session.create", { app: "db", csr: await newCsr() }), NotFoundError);
});

test("an invitation is good for an hour, or as long as it says", async () => {
  const { clock, admin } = await start();
  const nobody = auth.client();
  const { token } = await admin.call("user.invite", { name: "ivy", roles: ["access"] });
  const { token: short } = await admin.call("user.invite", { name: "jo", roles: ["access"], ttl_seconds: 1 });
  clock.advance(1_000);
  await assert.rejects(nobody.call("invite.accept", { token: short, password: PASSWORD }), /not valid/);
  clock.advance(HOUR_MS - 1_001);
  await nobody.call("invite.read", { token });
  clock.advance(1);
  await assert.rejects(nobody.call("invite.read", { token }), NotFoundError);
});

test("a user who expires has no rights from then on, whatever the certificate says", async () => {
  const { clock, admin } = await start();
  await auth.createUser("temp", ["access"]);
  const { resource } = await admin.call("resource.get", { kind: "user", name: "temp" });
  assert.ok(resource.kind === "user");
  const expires = iso(clock.wallMs() + HOUR_MS);
  await admin.call("resource.update", { resource: { ...resource, spec: { ...resource.spec, expires } } });
  const temp = await auth.login("temp");
  clock.advance(HOUR_MS + 1_000);
  await assert.rejects(temp.call("resource.list", { kind: "app_server" }), UnauthenticatedError);
  await assert.rejects(auth.login("temp"), UnauthenticatedError);
});
