import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import {
  AccessDeniedError,
  type Kind,
  LimitExceededError,
  RevisionMismatchError,
  UnauthenticatedError,
  VersionMismatchError,
} from "../api/mod.ts";
import { silentLogger, systemClock, VERSION } from "../base/mod.ts";
import {
  type AppRoute,
  createCa,
  generateKeyPair,
  issueAdminCert,
  issueHostCert,
  issueUserCert,
  type KeyedCert,
  spkiPin,
} from "../pki/mod.ts";
import {
  CachedView,
  CallTimeoutError,
  ConnectionLostError,
  fetchTrust,
  RpcClient,
  type RpcHandlers,
  RpcServer,
  UntrustedServerError,
  type WatchEventOf,
} from "./mod.ts";

const NAME = "root.test";
const HOUR_MS = 3_600_000;
const HOST_ID = "5b0f0f1e-9c51-4a3e-8a0c-2a8d7c3c1d11";

interface Feed {
  events: AsyncIterable<WatchEventOf<Kind>>;
  push(event: WatchEventOf<Kind>): void;
  fail(error: Error): void;
}

function feed(): Feed {
  const queue: (WatchEventOf<Kind> | Error)[] = [];
  let wake = () => {};
  async function* run(): AsyncGenerator<WatchEventOf<Kind>> {
    for (;;) {
      const next = queue.shift();
      if (next instanceof Error) throw next;
      if (next) yield next;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  const push = (item: WatchEventOf<Kind> | Error) => {
    queue.push(item);
    wake();
  };
  return { events: run(), push, fail: push };
}

async function cluster(handlers: Partial<RpcHandlers> = {}) {
  const now = Date.now();
  const hostCa = await createCa({ cluster: NAME, type: "host", now });
  const userCa = await createCa({ cluster: NAME, type: "user", now });
  const person = { user: "alice", roles: ["access"], traits: {} };
  const signed = async (make: (publicKeyPem: string) => Promise<string>): Promise<KeyedCert> => {
    const keys = await generateKeyPair();
    return { certPem: await make(keys.publicKeyPem), keyPem: keys.keyPem };
  };
  const host = (role: "Auth" | "App", ca = hostCa) =>
    signed((publicKeyPem) => issueHostCert({ ca, cluster: NAME, hostId: HOST_ID, roles: [role], publicKeyPem, now }));
  const user = (o: { expires?: number; route?: AppRoute; ca?: KeyedCert } = {}) =>
    signed((publicKeyPem) =>
      issueUserCert({ ca: userCa, cluster: NAME, publicKeyPem, now, expires: now + HOUR_MS, ...person, ...o }),
    );
  const admin = () => signed((publicKeyPem) => issueAdminCert({ ca: hostCa, cluster: NAME, publicKeyPem, now }));
  const defaults = {
    "cluster.ping": () => ({ cluster_name: NAME, version: "1", server_time: new Date().toISOString(), proxies: [] }),
    "cluster.trust": () => ({ cluster_name: NAME, generation: 1, host_cas: [hostCa.certPem] }),
    ...handlers,
  } as RpcHandlers;
  const server = new RpcServer({
    cluster: NAME,
    ...(await host("Auth")),
    authorities: () => [hostCa.certPem, userCa.certPem],
    handlers: defaults,
    clock: systemClock,
    log: silentLogger,
  });
  const { port } = await server.listen("127.0.0.1", 0);
  const dialled: Socket[] = [];
  const dial = async () => {
    const socket = connect(port, "127.0.0.1");
    dialled.push(socket);
    return socket;
  };
  const trust = { hostCas: [hostCa.certPem] };
  const client = (identity?: KeyedCert) => new RpcClient({ dial, trust, identity });
  return { hostCa, userCa, host, user, admin, server, port, dial, dialled, trust, client };
}

test("the certificate decides who calls, and the contract who may", async () => {
  const seen: string[] = [];
  const c = await cluster({
    "cluster.status": (_request, { caller }) => {
      seen.push(caller.kind === "user" ? caller.user : caller.kind);
      return { cluster_name: NAME, version: "1", ca_pins: [], authorities: [] };
    },
  });
  await using _server = c.server;
  await using nobody = c.client();
  await using alice = c.client(await c.user());
  await using admin = c.client(await c.admin());
  await using agent = c.client(await c.host("App"));

  assert.equal((await nobody.call("cluster.ping", {})).cluster_name, NAME);
  await assert.rejects(nobody.call("cluster.status", {}), UnauthenticatedError);
  await alice.call("cluster.status", {});
  await admin.call("cluster.status", {});
  await assert.rejects(agent.call("cluster.status", {}), AccessDeniedError);
  assert.deepEqual(seen, ["alice", "admin"]);
});

test("a program more than one major version away is refused with what to install, before anything else is looked at", async () => {
  const c = await cluster();
  await using _server = c.server;
  const [major] = VERSION.split(".").map(Number) as [number];
  const ping = async (version: string) => {
    await using client = new RpcClient({ dial: c.dial, trust: c.trust, version });
    return await client.call("cluster.ping", {});
  };
  await ping(`${major - 1}.0.0`);
  await ping(`${major + 1}.0.0`);
  for (const far of [`${major - 2}.9.9`, `${major + 2}.0.0`]) {
    await assert.rejects(
      ping(far),
      (error) => error instanceof VersionMismatchError && error.message.includes(`install version ${VERSION}`),
    );
  }
});

test("a certificate that does not verify is refused with the reason, even where none is needed", async () => {
  const c = await cluster();
  await using _server = c.server;
  const stranger = await createCa({ cluster: NAME, type: "user", now: Date.now() });
  const route = { app: "a", publicAddr: "a.root.test", cluster: NAME, sessionId: "00" };
  const cases: [KeyedCert, RegExp][] = [
    [await c.user({ expires: Date.now() - 60_000 }), /has expired: log in again/],
    [await c.user({ ca: stranger }), /was not issued by this cluster/],
    [await c.user({ route }), /app certificate/],
  ];
  for (const [identity, message] of cases) {
    await using client = c.client(identity);
    await assert.rejects(client.call("cluster.ping", {}), message);
  }
});

test("a certificate that ends while connected ends calls and watches", async () => {
  const watched = feed();
  const c = await cluster({ "resource.watch": () => watched.events });
  await using _server = c.server;
  // X.509 counts whole seconds.
  await using alice = c.client(await c.user({ expires: Math.ceil(Date.now() / 1000) * 1000 + 1000 }));
  const events = alice.watch(["app"]);
  watched.push({ type: "init" });
  assert.deepEqual((await events.next()).value, { type: "init" });
  await assert.rejects(events.next(), /has expired/);
  await assert.rejects(alice.call("cluster.ping", {}), /has expired/);
});

test("closing the server waits for nobody, not even an unfinished handshake", async () => {
  const c = await cluster();
  const mute = connect(c.port, "127.0.0.1");
  mute.on("error", () => {});
  await delay(50);
  const started = performance.now();
  await c.server.close();
  assert.ok(performance.now() - started < 1_000);
});

test("errors cross as the class they were; bugs say nothing of themselves", async () => {
  const thrown: Error[] = [new RevisionMismatchError("changed meanwhile"), new TypeError("secret path")];
  const c = await cluster({
    "cluster.status": () => {
      throw thrown.shift();
    },
  });
  await using _server = c.server;
  await using admin = c.client(await c.admin());
  await assert.rejects(admin.call("cluster.status", {}), (error) => {
    assert.ok(error instanceof RevisionMismatchError);
    assert.equal(error.message, "changed meanwhile");
    return true;
  });
  await assert.rejects(admin.call("cluster.status", {}), (error: Error) => !error.message.includes("secret"));
});

test("bad requests are answered, not served: unknown fields, too large, unknown methods", async () => {
  const c = await cluster({
    "invite.read": () => ({ user: "x", kind: "invite", mfa_optional: true, expires: "2026-01-01T00:00:00Z" }),
  });
  await using _server = c.server;
  await using client = c.client();
  const call = client.call.bind(client) as (method: string, request: unknown) => Promise<unknown>;
  await assert.rejects(call("cluster.ping", { extra: 1 }), /unknown key "extra"/);
  await assert.rejects(call("cluster.nothing", {}), /unknown method/);
  await assert.rejects(call("toString", {}), /unknown method/);
  await assert.rejects(call("invite.read", { token: "x".repeat(2 ** 20) }), LimitExceededError);
  assert.equal((await client.call("cluster.ping", {})).cluster_name, NAME, "the connection lives on");
});

test("a call ends with its signal, at both ends", async () => {
  const cancelled = Promise.withResolvers<number>();
  const c = await cluster({
    "cluster.status": (_request, { signal }) => {
      signal.addEventListener("abort", () => cancelled.resolve(performance.now()));
      return new Promise(() => {});
    },
  });
  await using _server = c.server;
  await using admin = c.client(await c.admin());
  const abort = new AbortController();
  const call = admin.call("cluster.status", {}, { signal: abort.signal });
  setTimeout(() => abort.abort(new Error("enough")), 100);
  await assert.rejects(call, /enough/);
  const rejected = performance.now();
  assert.ok((await cancelled.promise) - rejected < 2_000, "not by the server's own bound");
  await assert.rejects(admin.call("cluster.status", {}, { timeoutMs: 100 }), CallTimeoutError);
});

test("the client comes back after a lost connection and tells what it could not know", async () => {
  const c = await cluster({ "cluster.status": () => new Promise(() => {}) });
  await using _server = c.server;
  await using admin = c.client(await c.admin());
  const call = admin.call("cluster.status", {});
  await delay(100);
  c.dialled.at(-1)?.destroy();
  await assert.rejects(call, ConnectionLostError);
  assert.equal((await admin.call("cluster.ping", {})).cluster_name, NAME);
  assert.equal(c.dialled.length, 2);

  await using nowhere = new RpcClient({ dial: () => Promise.reject(new Error("refused")), trust: c.trust });
  await assert.rejects(nowhere.call("cluster.ping", {}), /cannot reach the Auth Service: refused/);
});

test("the client talks only to an Auth of its cluster", async () => {
  const c = await cluster();
  await using _server = c.server;
  const other = await createCa({ cluster: NAME, type: "host", now: Date.now() });
  await using wrongCa = new RpcClient({ dial: c.dial, trust: { hostCas: [other.certPem] } });
  await assert.rejects(wrongCa.call("cluster.ping", {}), UntrustedServerError);
  await using wrongName = new RpcClient({ dial: c.dial, trust: { cluster: "leaf.test", hostCas: [c.hostCa.certPem] } });
  await assert.rejects(wrongName.call("cluster.ping", {}), UntrustedServerError);
  // An agent's certificate is from the right authority, but an agent is not Auth.
  await using agentServer = new RpcServer({
    cluster: NAME,
    ...(await c.host("App")),
    authorities: () => [],
    handlers: {} as RpcHandlers,
    clock: systemClock,
    log: silentLogger,
  });
  const { port } = await agentServer.listen("127.0.0.1", 0);
  await using toAgent = new RpcClient({ dial: async () => connect(port, "127.0.0.1"), trust: c.trust });
  await assert.rejects(toAgent.call("cluster.ping", {}), /its role is App/);
});

test("first trust: the pin must be that of the authority behind this very connection", async () => {
  const c = await cluster();
  await using _server = c.server;
  const trust = await fetchTrust({ dial: c.dial, pins: [spkiPin(c.hostCa.certPem)] });
  assert.deepEqual(trust, { cluster: NAME, hostCas: [c.hostCa.certPem], generation: 1 });
  assert.equal((await fetchTrust({ dial: c.dial })).cluster, NAME);
  await assert.rejects(fetchTrust({ dial: c.dial, pins: [spkiPin(c.userCa.certPem)] }), /does not have the CA pin/);

  // A false Auth that lists the true, pinned authority beside its own.
  const own = await createCa({ cluster: NAME, type: "host", now: Date.now() });
  const answer = { cluster_name: NAME, generation: 1, host_cas: [own.certPem, c.hostCa.certPem] };
  await using liar = new RpcServer({
    cluster: NAME,
    ...(await c.host("Auth", own)),
    authorities: () => [],
    handlers: { "cluster.trust": () => answer } as Partial<RpcHandlers> as RpcHandlers,
    clock: systemClock,
    log: silentLogger,
  });
  const { port } = await liar.listen("127.0.0.1", 0);
  const dial = async () => connect(port, "127.0.0.1");
  await assert.rejects(fetchTrust({ dial, pins: [spkiPin(c.hostCa.certPem)] }), UntrustedServerError);
});

const app = (name: string, revision: string) => ({
  kind: "app" as const,
  version: "v3" as const,
  metadata: { name, revision },
  spec: { uri: "tcp://localhost:1" },
});

test("a cached view lists, follows, survives a loss and tells the difference", async () => {
  const feeds = [feed(), feed()];
  let opened = 0;
  const known: unknown[] = [];
  const c = await cluster({
    "resource.watch": (request) => {
      known.push(request.known);
      return feeds[opened++]!.events;
    },
  });
  await using _server = c.server;
  await using client = c.client(await c.admin());
  feeds[0]!.push({ type: "put", resource: app("one", "1") });
  feeds[0]!.push({ type: "put", resource: app("two", "1") });
  feeds[0]!.push({ type: "put", resource: app("gone", "1") });
  feeds[0]!.push({ type: "init" });
  await using view = new CachedView(client, ["app"]);
  await view.ready;
  assert.deepEqual(
    view.list("app").map((a) => a.metadata.name),
    ["one", "two", "gone"],
  );
  assert.equal(view.staleSince, undefined);

  const told: string[] = [];
  view.onChange((change) => told.push(`${change.type} ${change.name}`));
  feeds[0]!.push({ type: "delete", kind: "app", name: "one" });
  await until(() => told.length === 1);
  assert.equal(view.get("app", "one"), undefined);

  c.dialled.at(-1)?.destroy();
  await until(() => view.staleSince !== undefined);
  assert.equal(view.list("app").length, 2, "the last view stays");
  // Back again it says what it has, and is told the difference.
  feeds[1]!.push({ type: "delete", kind: "app", name: "gone" });
  feeds[1]!.push({ type: "put", resource: app("three", "1") });
  feeds[1]!.push({ type: "init" });
  await until(() => view.staleSince === undefined);
  assert.deepEqual(told, ["delete one", "delete gone", "put three"]);
  assert.deepEqual(known, [undefined, { app: { two: "1", gone: "1" } }]);
  assert.deepEqual(
    view.list("app").map((a) => a.metadata.name),
    ["two", "three"],
  );
});

test("a watcher that does not read holds back the source instead of memory", async () => {
  let pulled = 0;
  const filler = "x".repeat(60_000);
  async function* endless(): AsyncGenerator<WatchEventOf<Kind>> {
    for (;;) {
      pulled++;
      yield {
        type: "put",
        resource: { ...app("big", String(pulled)), metadata: { name: "big", description: filler } },
      };
    }
  }
  const c = await cluster({ "resource.watch": endless });
  await using _server = c.server;
  await using client = c.client(await c.admin());
  const events = client.watch(["app"]);
  await events.next();
  await delay(300);
  const stopped = pulled;
  await delay(200);
  assert.equal(pulled, stopped, "still pulling with nobody reading");
  // The stream's window of 4 MiB and what Node holds around it.
  assert.ok(pulled * filler.length < 12 * 1024 * 1024, `pulled ${pulled}`);
  for (let i = 0; i < stopped; i++) await events.next();
  await until(() => pulled > stopped);
  await events.return(undefined);
});

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 300 && !condition(); i++) await delay(10);
  assert.ok(condition());
}
