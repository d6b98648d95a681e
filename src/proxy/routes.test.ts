import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { AppServer, AppSession, Lock } from "../api/mod.ts";
import { Counters, sleep, systemClock } from "../base/mod.ts";
import { FakeView } from "../testkit/mod.ts";
import { MAX_WAITING_HELLOS } from "./limits.ts";
import { type PROXY_KINDS, Routes } from "./routes.ts";

const ID = "0123456789abcdef0123456789abcdef";
const never = new AbortController().signal;

function session(id: string, o: { livesMs?: number; key?: boolean } = {}): AppSession {
  return {
    kind: "app_session",
    version: "v1",
    metadata: { name: id },
    spec: {
      user: "alice",
      app: "db",
      public_addr: "db.test",
      cluster: "c",
      expires: new Date(Date.now() + (o.livesMs ?? 60_000)).toISOString(),
      ...(o.key !== false && { route_key: Buffer.alloc(32, 7).toString("base64") }),
    },
  };
}

function server(hostId: string, app: string, address: string): AppServer {
  const spec = { uri: "tcp://localhost:1", public_addr: address };
  return {
    kind: "app_server",
    version: "v3",
    metadata: { name: `${hostId}.${app}` },
    spec: {
      version: "1",
      hostname: "h",
      host_id: hostId,
      app: { kind: "app", version: "v3", metadata: { name: app }, spec },
    },
  };
}

function setup(t: TestContext) {
  const view = new FakeView<(typeof PROXY_KINDS)[number]>();
  const cut: string[] = [];
  const counters = new Counters();
  const cutHosts: string[] = [];
  const routes = new Routes(
    view,
    { clock: systemClock, counters },
    { session: (id) => cut.push(id), host: (id) => cutHosts.push(id) },
  );
  t.after(() => routes.close());
  return { view, cut, cutHosts, counters, routes };
}

test("a session is found with its key, also when its news is late", async (t) => {
  const { view, routes } = setup(t);
  const started = performance.now();
  const late = routes.session(ID, never);
  await sleep(20);
  view.put(session("f".repeat(32)));
  view.put(session(ID));
  const found = await late;
  assert.ok(performance.now() - started < 500, "no longer than needed");
  assert.equal(found?.sessionId, ID);
  assert.deepEqual([found?.app, found?.cluster, found?.routeKey.length], ["db", "c", 32]);
  assert.deepEqual(await routes.session(ID, never), found);
});

test("nothing is routed for a session that is unknown, over, or of which the key is not known", async (t) => {
  const { view, routes } = setup(t);
  const impatient = { ...systemClock, after: (_ms: number, run: () => void) => systemClock.after(1, run) };
  const quick = new Routes(view, { clock: impatient, counters: new Counters() }, { session: () => {}, host: () => {} });
  t.after(() => quick.close());
  assert.equal(await quick.session(ID, never), undefined);
  view.put(session(ID, { livesMs: -1 }));
  assert.equal(await routes.session(ID, never), undefined);
  view.put(session(ID, { key: false }));
  assert.equal(await routes.session(ID, never), undefined);
  await assert.rejects(routes.session("f".repeat(32), AbortSignal.abort(new Error("gone"))), /gone/);
});

test("only so many wait for an unknown session", async (t) => {
  const { counters, routes } = setup(t);
  const leave = new AbortController();
  const waiting = Array.from({ length: MAX_WAITING_HELLOS }, () => routes.session(ID, leave.signal));
  assert.equal(await routes.session(ID, never), undefined);
  assert.equal(counters.get("link.too-many-waiting"), 1);
  leave.abort(new Error("gone"));
  assert.ok((await Promise.allSettled(waiting)).every(({ status }) => status === "rejected"));
});

test("agents are those that announce the app at the session's own address", async (t) => {
  const { view, routes } = setup(t);
  for (const [host, app, address] of [
    ["a", "db", "db.test"],
    ["b", "db", "db.test"],
    ["c", "db", "elsewhere.test"],
    ["d", "other", "db.test"],
  ] as const) {
    view.put(server(host, app, address));
  }
  view.put(session(ID));
  const found = await routes.session(ID, never);
  assert.ok(found);
  assert.deepEqual(
    [...routes.agents(found)],
    [
      { hostId: "a", healthy: true },
      { hostId: "b", healthy: true },
    ],
  );
  view.put({ ...server("b", "db", "db.test"), status: { target_health: { status: "unhealthy" } } });
  assert.deepEqual(
    routes.agents(found).filter(({ healthy }) => !healthy),
    [{ hostId: "b", healthy: false }],
  );
});

test("the end of a session cuts its relays: by deletion at once, by expiry within a second", async (t) => {
  const { view, cut, routes } = setup(t);
  view.put(session(ID));
  view.delete("app_session", ID);
  assert.deepEqual(cut, [ID]);
  const asked = performance.now();
  assert.equal(await routes.session(ID, never), undefined);
  assert.ok(performance.now() - asked < 500, "nobody waits for a session that is over");
  const short = "e".repeat(32);
  view.put(session(short, { livesMs: 300 }));
  await sleep(1_300);
  assert.equal(cut[1], short);
});

test("a locked host is cut at once and again when it returns, and nothing is routed to it", async (t) => {
  const { view, cut, cutHosts, routes } = setup(t);
  for (const host of ["a", "b"]) view.put(server(host, "db", "db.test"));
  view.put(session(ID));
  const found = await routes.session(ID, never);
  assert.ok(found);
  const lock = (name: string, spec: Lock["spec"]): Lock => ({ kind: "lock", version: "v2", metadata: { name }, spec });
  view.put(lock("user", { target: { user: "alice" } }));
  view.put(lock("over", { target: { server_id: "b" }, expires: "2020-01-01T00:00:00Z" }));
  assert.deepEqual(cutHosts, []);
  view.put(lock("l", { target: { server_id: "a" } }));
  assert.deepEqual(cutHosts, ["a"]);
  assert.deepEqual(
    routes.agents(found).map(({ hostId }) => hostId),
    ["b"],
  );
  await sleep(1_200);
  assert.deepEqual(cutHosts, ["a", "a"]);
  assert.deepEqual(cut, []);
  view.delete("lock", "l");
  assert.deepEqual(
    [...routes.agents(found)],
    [
      { hostId: "a", healthy: true },
      { hostId: "b", healthy: true },
    ],
  );
  view.put({ ...server("b", "db", "db.test"), status: { target_health: { status: "unhealthy" } } });
  assert.deepEqual(
    routes.agents(found).filter(({ healthy }) => !healthy),
    [{ hostId: "b", healthy: false }],
  );
});

test("what a root has issued is routed for that root only, and has no token of its own here", async (t) => {
  const { view, routes } = setup(t);
  const ofRoot = session(ID, { key: false });
  view.put({ ...ofRoot, spec: { ...ofRoot.spec, root: "root.test" } });
  const now = AbortSignal.abort();
  assert.equal(await routes.isOfRoot(ID, "root.test", now), true);
  assert.equal(await routes.isOfRoot(ID, "other.test", now), false);
  assert.equal(await routes.session(ID, never), undefined, "refused at the public port");
  const own = session("b".repeat(32));
  view.put(own);
  assert.equal(await routes.isOfRoot(own.metadata.name, "root.test", now), false, "a session of this cluster");
  const over = session("c".repeat(32), { key: false, livesMs: -1 });
  view.put({ ...over, spec: { ...over.spec, root: "root.test" } });
  assert.equal(await routes.isOfRoot(over.metadata.name, "root.test", now), false, "it has expired");
});
