import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { after, before, test } from "node:test";
import type { AppServer } from "../api/mod.ts";
import { sleep } from "../base/mod.ts";
import { ended, exchange, startTestCluster, type TestCluster, type TestLogin, tcpApp } from "../testkit/mod.ts";

const PASSWORD = "correct horse battery staple";

let cluster: TestCluster;
let alice: TestLogin;
/** Connections that the app `held` has accepted; it does nothing with them. */
const held: Socket[] = [];
const holder = createServer((socket) => {
  socket.on("error", () => {});
  held.push(socket);
});

before(async () => {
  holder.listen(0, "127.0.0.1");
  await once(holder, "listening");
  const { port } = holder.address() as AddressInfo;
  cluster = await startTestCluster({ apps: [tcpApp("held", `tcp://127.0.0.1:${port}`)] });
  await cluster.createUser("alice", PASSWORD);
  alice = await cluster.login("alice", PASSWORD);
});

after(async () => {
  await alice?.client.close();
  await cluster?.[Symbol.asyncDispose]();
  holder.close();
});

async function until(what: string, holds: () => boolean | Promise<boolean>, boundMs = 5_000): Promise<void> {
  const deadline = performance.now() + boundMs;
  while (!(await holds())) {
    assert.ok(performance.now() < deadline, `not within ${boundMs} ms: ${what}`);
    await sleep(20);
  }
}

async function eventsOf(sid: string) {
  const events = await cluster.auditEvents(["app.session.start", "app.session.end"]);
  return events.filter((event) => "sid" in event && event.sid === sid && "stream_id" in event);
}

test("while Auth is away a known session goes on, and its records arrive afterwards", async () => {
  const { session } = await cluster.appSession(alice, "echo");
  await cluster.stopAuth();
  const { link } = await cluster.dialLink(session);
  const data = randomBytes(100_000);
  assert.deepEqual(await exchange(await link.open(0), data), data);
  link.close("done");
  assert.equal((await eventsOf(session.sessionId)).length, 0);

  await cluster.startAuth();
  await until("both records are in the log", async () => (await eventsOf(session.sessionId)).length === 2, 10_000);
});

test("a proxy that comes back is found by the agent, and new links work", async () => {
  const { session } = await cluster.appSession(alice, "echo");
  const { link } = await cluster.dialLink(session);
  const stream = ended(await link.open(0));
  await cluster.proxy.close();
  await stream;

  await cluster.startProxy();
  await until("the agent is back", () => cluster.proxy.connectedAgents().length === 1);
  const again = await cluster.dialLink(session);
  assert.equal((await exchange(await again.link.open(0), new Uint8Array(1000))).length, 1000);
  again.link.close("done");
});

test("an app's reset reaches the client, and the record says so", async () => {
  const { session } = await cluster.appSession(alice, "held");
  const { link } = await cluster.dialLink(session);
  const stream = ended(await link.open(0));
  await until("the app has it", () => held.length === 1);
  held[0]?.resetAndDestroy();
  assert.equal(await stream, "peer");
  await until("both records are in the log", async () => (await eventsOf(session.sessionId)).length === 2);
  const end = (await eventsOf(session.sessionId)).find((event) => event.event === "app.session.end");
  assert.equal(end && "reason" in end && end.reason, "reset by the app");
  link.close("done");
});

test("a changed role counts for the next connection", async () => {
  await using admin = await cluster.adminClient();
  const { session } = await cluster.appSession(alice, "echo");
  const { link } = await cluster.dialLink(session);
  await exchange(await link.open(0), new Uint8Array(1));
  const { resource } = await admin.call("resource.get", { kind: "role", name: "access" });
  assert.equal(resource.kind, "role");
  if (resource.kind !== "role") return;
  const denied = { ...resource, spec: { ...resource.spec, deny: { app_labels: { "*": "*" } } } };
  await admin.call("resource.update", { resource: denied });
  await until("it is refused", async () => {
    const stream = await link.open(0).catch((error: Error & { refusal?: string }) => error);
    if (!(stream instanceof Error)) stream.reset("shutdown");
    return stream instanceof Error;
  });
  const changed = await admin.call("resource.get", { kind: "role", name: "access" });
  const { revision } = changed.resource.metadata;
  await admin.call("resource.update", {
    resource: { ...resource, metadata: { ...resource.metadata, ...(revision && { revision }) } },
  });
});

test("draining takes back the announcements, refuses new connections and lets open ones end", async () => {
  const { session } = await cluster.appSession(alice, "held");
  const { link } = await cluster.dialLink(session);
  const before = held.length;
  const stream = ended(await link.open(0));
  await until("the app has it", () => held.length > before);

  const drained = cluster.app.drain(10_000);
  await until("no app is announced", async () => {
    const { resources } = await alice.client.call("resource.list", { kind: "app_server" });
    return (resources as AppServer[]).length === 0;
  });
  await assert.rejects(link.open(0));
  await assert.rejects(cluster.appSession(alice, "held"), { code: "api.not-found" });
  held.at(-1)?.end();
  assert.equal(await stream, "end");
  link.close("done");
  await drained;
  assert.equal((await eventsOf(session.sessionId)).length, 2, "the end waits for the records' delivery");
});

test("an agent that dies resets its connections and is taken off the routes", async () => {
  await cluster.startApp();
  const { session } = await cluster.appSession(alice, "held");
  const { link } = await cluster.dialLink(session);
  const stream = ended(await link.open(0));
  const started = performance.now();
  await cluster.app.close();
  await stream;
  assert.ok(performance.now() - started < 15_000);
  await until("the proxy knows", () => cluster.proxy.connectedAgents().length === 0);
  await assert.rejects(cluster.dialLink(session));
});
