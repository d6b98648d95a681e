import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AccessDeniedError, type Lock } from "../api/mod.ts";
import { announce, appServer, newCsr, role, TestAuth, take } from "./test-auth.ts";

let auth: TestAuth;
before(async () => {
  auth = await TestAuth.start();
  await auth.createUser("ed", ["editor", "access"]);
  await auth.createUser("pat", ["auditor"]);
});
after(() => auth?.close());

function lock(name: string, target: Lock["spec"]["target"], spec: Partial<Lock["spec"]> = {}): Lock {
  return { kind: "lock", version: "v2", metadata: { name }, spec: { target, ...spec } };
}

/** Runs `check` while the lock is in force. */
async function whileLocked(resource: Lock, check: () => Promise<void>): Promise<void> {
  const admin = await auth.admin();
  await admin.call("resource.create", { resource });
  try {
    await check();
  } finally {
    await admin.call("resource.delete", { kind: "lock", name: resource.metadata.name });
  }
}

test("a locked user is refused every call, a new login included, and told why", async () => {
  const ed = await auth.as("ed");
  await whileLocked(lock("l1", { user: "ed" }, { message: "laptop stolen" }), async () => {
    const said = { name: "AccessDeniedError", message: 'lock targeting User:"ed" is in force: laptop stolen' };
    await assert.rejects(ed.call("cluster.ping", {}), said);
    await assert.rejects(ed.call("resource.list", { kind: "app_server" }), said);
    await assert.rejects(ed.call("app_session.create", { app: "db", csr: await newCsr() }), said);
    await assert.rejects(ed.watch(["app_server"]).next(), said);
    await assert.rejects(auth.login("ed"), said);
    await assert.rejects(auth.login("ed", "wrong"), /invalid username or password/, "told only to who is the user");
  });
  await ed.call("cluster.ping", {});
  const [created, deleted] = await auth.events("lock.created", "lock.deleted");
  assert.deepEqual([created?.code, deleted?.code], ["TLK00I", "TLK01I"]);
  assert.deepEqual([created?.target, created?.message], [{ user: "ed" }, "laptop stolen"]);
});

test("a lock on a role stops who has it; the administrator on the Auth host is never stopped", async () => {
  const admin = await auth.admin();
  await admin.call("resource.create", { resource: role("dev", { "*": "*" }) });
  await auth.createUser("dave", ["dev"]);
  await auth.createUser("zoe", ["access"]);
  const [dave, zoe] = [await auth.as("dave"), await auth.as("zoe")];
  await whileLocked(lock("l2", { role: "dev" }), async () => {
    await assert.rejects(dave.call("cluster.ping", {}), /lock targeting Role:"dev"/);
    await zoe.call("cluster.ping", {});
    await admin.call("cluster.ping", {});
  });
});

test("a locked host is refused, and the apps that it serves are not given to it", async () => {
  const [first, second] = [await auth.host("App"), await auth.host("App")];
  for (const host of [first, second]) await announce(host, appServer(host.hostId, "db"));
  const ed = await auth.as("ed");
  await whileLocked(lock("l3", { server_id: first.hostId }), async () => {
    await assert.rejects(announce(first, appServer(first.hostId, "db")), AccessDeniedError);
    await assert.rejects(
      first.call("host.renew", { csr: await newCsr() }),
      AccessDeniedError,
      "nor gets another certificate",
    );
    await announce(second, appServer(second.hostId, "db"));
    const { agents } = await ed.call("app_session.create", { app: "db", csr: await newCsr() });
    assert.deepEqual(agents, [{ host_id: second.hostId }]);
  });
});

test("a locked app gives no session", async () => {
  const ed = await auth.as("ed");
  const host = await auth.host("App");
  await announce(host, appServer(host.hostId, "vault"));
  const session = await ed.call("app_session.create", { app: "vault", csr: await newCsr() });
  await whileLocked(lock("l4", { app: "vault" }), async () => {
    const csr = await newCsr();
    await assert.rejects(ed.call("app_session.create", { app: "vault", csr }), /lock targeting App:"vault"/);
    const pat = await auth.as("pat");
    await assert.rejects(pat.call("app_session.create", { app: "vault", csr }), /not found, or you may not/);
    await assert.rejects(
      ed.call("app_session.renew", { session_id: session.session_id, csr }),
      /lock targeting App:"vault"/,
    );
  });
});

test("a locked agent's watch tells it of its lock and ends", async () => {
  const host = await auth.host("App");
  const events = host.watch(["lock"]);
  assert.deepEqual(await take(events, 1), ["init"]);
  await whileLocked(lock("l5", { server_id: host.hostId }), async () => {
    assert.deepEqual(await take(events, 1), ["put l5"]);
    await assert.rejects(events.next(), AccessDeniedError);
    await assert.rejects(host.watch(["lock"]).next(), AccessDeniedError);
  });
});

test("a lock says who made it, and cannot have lapsed before it was made", async () => {
  const admin = await auth.admin();
  const expires = new Date(Date.now() + 3_600_000).toISOString();
  const spoof = { created_by: "somebody", created_at: "2020-01-01T00:00:00Z" };
  const { resource } = await admin.call("resource.create", {
    resource: lock("l6", { user: "ed" }, { expires, ...spoof }),
  });
  assert.equal((resource as Lock).spec.created_by, "admin");
  const ed = await auth.as("ed");
  await assert.rejects(ed.call("cluster.ping", {}), /in force/);
  await admin.call("resource.delete", { kind: "lock", name: "l6" });
  await assert.rejects(
    admin.call("resource.create", { resource: lock("l7", { user: "ed" }, { expires: "2020-01-01T00:00:00Z" }) }),
    /in the past/,
  );
});

test("editors write locks, others do not see them", async () => {
  const [ed, zoe] = [await auth.as("ed"), await auth.as("zoe")];
  await ed.call("resource.create", { resource: lock("l8", { user: "nobody" }) });
  await assert.rejects(zoe.call("resource.list", { kind: "lock" }), AccessDeniedError);
  await ed.call("resource.delete", { kind: "lock", name: "l8" });
});
