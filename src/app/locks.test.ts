import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Lock, Role } from "../api/mod.ts";
import { sleep } from "../base/mod.ts";
import { ended, exchange, startTestCluster, type TestCluster, type TestLogin } from "../testkit/mod.ts";

const PASSWORD = "correct horse battery staple";

let cluster: TestCluster;
let alice: TestLogin;
let bob: TestLogin;

before(async () => {
  cluster = await startTestCluster();
  await cluster.createUser("alice", PASSWORD);
  await makeRole("bounded", { client_idle_timeout: "1s", max_connections: 2 });
  await cluster.createUser("bob", PASSWORD, ["bounded"]);
  alice = await cluster.login("alice", PASSWORD);
  bob = await cluster.login("bob", PASSWORD);
});

after(async () => {
  await alice?.client.close();
  await bob?.client.close();
  await cluster?.[Symbol.asyncDispose]();
});

async function makeRole(name: string, options: NonNullable<Role["spec"]["options"]>): Promise<void> {
  await using admin = await cluster.adminClient();
  const allow = { app_labels: { "*": "*" } };
  await admin.call("resource.create", {
    resource: { kind: "role", version: "v7", metadata: { name }, spec: { options, allow } },
  });
}

async function withLock(target: Lock["spec"]["target"], run: () => Promise<void>): Promise<void> {
  await using admin = await cluster.adminClient();
  const metadata = { name: "l" };
  await admin.call("resource.create", {
    resource: { kind: "lock", version: "v2", metadata, spec: { target, message: "stop" } },
  });
  try {
    await run();
  } finally {
    await admin.call("resource.delete", { kind: "lock", name: "l" });
  }
}

async function eventsOf(type: string, sid: string, wanted = 1) {
  for (let i = 0; ; i++) {
    const events = (await cluster.auditEvents([type])) as unknown as Record<string, unknown>[];
    const found = events.filter((event) => event.sid === sid && "stream_id" in event);
    if (found.length >= wanted || i === 100) return found;
    await sleep(20);
  }
}

async function admitted(login: TestLogin): Promise<void> {
  for (let i = 0; ; i++) {
    const made = await cluster
      .appSession(login, "echo")
      .then(({ session }) => cluster.dialLink(session))
      .catch((error: Error) => error);
    if (!(made instanceof Error)) return void made.link.close("done");
    if (i === 50) throw made;
    await sleep(50);
  }
}

test("a lock on the user, their role or the app ends an open connection within a second, and says why", async () => {
  for (const target of [{ user: "alice" }, { role: "access" }, { app: "echo" }]) {
    const { session } = await cluster.appSession(alice, "echo");
    const { link } = await cluster.dialLink(session);
    const stream = ended(await link.open(0));
    const others = await cluster.appSession(bob, "echo");
    const other = await cluster.dialLink(others.session);
    const started = performance.now();
    await withLock(target, async () => {
      assert.notEqual(await stream, "end");
      assert.ok(performance.now() - started < 1_000, `${JSON.stringify(target)}: ${performance.now() - started} ms`);
      assert.match((await link.closed).message, /lock targeting .* is in force: stop/);
      await assert.rejects(cluster.dialLink(session), /in force|ended|not/);
      await assert.rejects(cluster.appSession(alice, "echo"), /in force: stop/);
      assert.equal(other.link.ended, "app" in target, JSON.stringify(target));
    });
    const [cut] = await eventsOf("client.disconnect", session.sessionId);
    assert.deepEqual([cut?.code, cut?.user], ["T3006I", "alice"]);
    assert.match(String(cut?.reason), /in force: stop/);
    const [end] = await eventsOf("app.session.end", session.sessionId);
    assert.equal(end?.reason, cut?.reason);
    other.link.close("done");
    await admitted(alice);
  }
});

test("while Auth is away the last known locks hold", async () => {
  const { session } = await cluster.appSession(alice, "echo");
  await using admin = await cluster.adminClient();
  await admin.call("resource.create", {
    resource: { kind: "lock", version: "v2", metadata: { name: "stays" }, spec: { target: { user: "alice" } } },
  });
  await sleep(200);
  await cluster.stopAuth();
  await assert.rejects(cluster.dialLink(session), /lock targeting User:"alice" is in force/);
  await cluster.startAuth();
  await using again = await cluster.adminClient();
  await again.call("resource.delete", { kind: "lock", name: "stays" });
  await admitted(alice);
});

test("a connection that is idle for longer than the role allows is ended; a busy one is not", async () => {
  const { session } = await cluster.appSession(bob, "echo");
  const { link } = await cluster.dialLink(session);
  const idle = ended(await link.open(0));
  const busy = await link.open(0);
  let octets = 0;
  let alive = true;
  busy.open({
    data(chunk) {
      octets += chunk.bytes.length;
      busy.credit(chunk.bytes.length);
      chunk.release();
    },
    end: () => {},
    reset: () => (alive = false),
    writable: () => {},
  });
  busy.credit(1_000_000);
  const started = performance.now();
  const ticking = setInterval(() => {
    if (alive) busy.write({ bytes: new Uint8Array(1), release() {} });
  }, 100);
  assert.equal(await idle, "session-ended");
  clearInterval(ticking);
  const tookMs = performance.now() - started;
  assert.ok(tookMs > 900 && tookMs < 3_500, `${tookMs} ms`);
  assert.ok(alive && octets > 3);
  const [cut] = await eventsOf("client.disconnect", session.sessionId);
  assert.match(String(cut?.reason), /idle for longer than 1 s/);
  busy.reset("shutdown");
  link.close("done");
});

test("a user has max_connections at an agent and no more; another user is not touched by it", async () => {
  const { session } = await cluster.appSession(bob, "echo");
  const { link } = await cluster.dialLink(session);
  const [first] = [await link.open(0), await link.open(0)];
  await assert.rejects(link.open(0), { refusal: "limit", message: /your roles allow 2 connections/ });
  const [rejected] = await eventsOf("session.rejected", session.sessionId);
  assert.deepEqual([rejected?.code, rejected?.maximum], ["T1006W", 2]);

  const theirs = await cluster.appSession(alice, "echo");
  const other = await cluster.dialLink(theirs.session);
  await exchange(await other.link.open(0), new Uint8Array(5));
  other.link.close("done");

  first?.reset("shutdown");
  for (let i = 0; ; i++) {
    const third = await link.open(0).catch((error: Error) => error);
    if (!(third instanceof Error)) break;
    assert.ok(i < 50, third.message);
    await sleep(20);
  }
  link.close("done");
});
