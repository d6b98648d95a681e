import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { after, before, test } from "node:test";
import type { AppServer } from "../api/mod.ts";
import { sleep } from "../base/mod.ts";
import { ended, exchange, startTestCluster, type TestCluster, type TestLogin, tcpApp } from "../testkit/mod.ts";

const MIB = 1024 * 1024;
const PASSWORD = "correct horse battery staple";

let cluster: TestCluster;
let alice: TestLogin;

before(async () => {
  const closed = createServer().listen(0, "127.0.0.1");
  await once(closed, "listening");
  const { port } = closed.address() as AddressInfo;
  closed.close();
  cluster = await startTestCluster({
    apps: [
      tcpApp("down", `tcp://127.0.0.1:${port}`),
      tcpApp("many", "tcp://127.0.0.1", { tcp_ports: [{ port }, { port: 20_000, end_port: 20_010 }] }),
      tcpApp("web", "http://127.0.0.1:1"),
    ],
  });
  await cluster.createUser("alice", PASSWORD);
  alice = await cluster.login("alice", PASSWORD);
});

after(async () => {
  await alice?.client.close();
  await cluster?.[Symbol.asyncDispose]();
});

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The agent's spool brings its events to Auth in its own time. */
async function eventsOf(sid: string, wanted: number) {
  for (let i = 0; ; i++) {
    const events = (await cluster.auditEvents(["app.session.start", "app.session.end"])).filter(
      (event) => "sid" in event && event.sid === sid && "stream_id" in event,
    );
    if (events.length >= wanted || i === 100) return events as (Record<string, unknown> & { code: string })[];
    await sleep(20);
  }
}

test("octets reach the app and come back unchanged, and the audit log counts them", async () => {
  const { session } = await cluster.appSession(alice, "echo");
  const { link } = await cluster.dialLink(session);
  const data = randomBytes(8 * MIB);
  const back = await exchange(await link.open(0), data);
  assert.equal(sha256(back), sha256(data));

  const [start, end] = await eventsOf(session.sessionId, 2);
  assert.equal(start?.code, "T2007I");
  assert.equal(end?.code, "T2011I");
  assert.deepEqual([end?.bytes_in, end?.bytes_out], [8 * MIB, 8 * MIB]);
  assert.equal(start?.stream_id, end?.stream_id);
  assert.equal(end?.user, "alice");
  assert.equal(end?.app_name, "echo");
  assert.match(String(end?.["addr.remote"]), /^127\.0\.0\.1/);
  assert.equal(end?.reason, undefined);
  link.close("done");
});

test("two connections of one session are two streams in the audit log", async () => {
  const { session } = await cluster.appSession(alice, "echo");
  const { link } = await cluster.dialLink(session);
  await Promise.all([1, 2].map(async (n) => exchange(await link.open(0), new Uint8Array(n))));
  const ends = (await eventsOf(session.sessionId, 4)).filter((event) => event.code === "T2011I");
  assert.deepEqual(ends.map((event) => event.bytes_in).sort(), [1, 2]);
  assert.equal(new Set(ends.map((event) => event.stream_id)).size, 2);
  link.close("done");
});

test("an app that does not listen is refused, and the failure audited", async () => {
  const { session } = await cluster.appSession(alice, "down");
  const { link } = await cluster.dialLink(session);
  await assert.rejects(link.open(0), { code: "link.refused", refusal: "connection-refused" });
  const [failure] = await eventsOf(session.sessionId, 1);
  assert.equal(failure?.code, "T2007E");
  assert.match(String(failure?.error), /refused the connection/);
  link.close("done");
});

test("a port outside tcp_ports is refused before anything is dialled", async () => {
  const { session } = await cluster.appSession(alice, "many");
  const { link } = await cluster.dialLink(session);
  await assert.rejects(link.open(19_999), { refusal: "port" });
  await assert.rejects(link.open(20_011), { refusal: "port" });
  await assert.rejects(link.open(20_010), { refusal: "connection-refused" });
  await assert.rejects(link.open(0), { refusal: "connection-refused" }, "the first one");
  link.close("done");
});

test("the end of a session resets its connections within a second", async () => {
  const { session } = await cluster.appSession(alice, "echo");
  const { link } = await cluster.dialLink(session);
  const stream = ended(await link.open(0));
  const started = performance.now();
  await alice.client.call("app_session.end", { session_id: session.sessionId });
  await stream;
  assert.ok(performance.now() - started < 1_000);
  await link.closed;
  await assert.rejects(cluster.dialLink(session));
  const end = (await eventsOf(session.sessionId, 2)).find((event) => event.code === "T2011I");
  assert.ok(end?.reason, "the record says that it was cut");
});

test("an agent that is not among the session's is not trusted", async () => {
  const { session } = await cluster.appSession(alice, "echo");
  const others = { ...session, hostIds: ["00000000-0000-4000-8000-000000000000"] };
  let asked = 0;
  const refreshAgents = async () => {
    asked++;
    return { hostIds: others.hostIds, hostCas: others.hostCas };
  };
  await assert.rejects(cluster.dialLink(others, { refreshAgents }));
  assert.equal(asked, 1, "Auth is asked once for the present list");
  const { link } = await cluster.dialLink(session);
  link.close("done");
});

test("a user without a role for the app gets no link", async () => {
  await cluster.createUser("bob", PASSWORD, ["editor"]);
  const bob = await cluster.login("bob", PASSWORD);
  await assert.rejects(cluster.appSession(bob, "echo"), { code: /api\.(access-denied|not-found)/ });
  await bob.client.close();
});

test("a web app is announced, and its links are refused with the reason", async () => {
  const { resources } = await alice.client.call("resource.list", { kind: "app_server" });
  const names = (resources as AppServer[]).map(({ spec }) => spec.app.metadata.name).sort();
  assert.deepEqual(names, ["down", "echo", "many", "web"]);
  const opened = await cluster.appSession(alice, "web").catch((error: Error) => error);
  if (opened instanceof Error) return assert.match(opened.message, /web app|HTTP|tcp/i);
  await assert.rejects(cluster.dialLink(opened.session), /web app/);
});

test("after a restart the agent's changed and removed apps are seen at once", async () => {
  const port = 1; // nobody connects
  await cluster.restartApp([tcpApp("down", `tcp://127.0.0.1:${port}`, { public_addr: "tcp-app.company.test" })]);
  const { resources } = await alice.client.call("resource.list", { kind: "app_server" });
  const apps = (resources as AppServer[]).map(({ spec }) => [spec.app.metadata.name, spec.app.spec.public_addr]);
  assert.deepEqual(apps.sort(), [
    ["down", "tcp-app.company.test"],
    ["echo", "echo.localhost"],
  ]);
});
