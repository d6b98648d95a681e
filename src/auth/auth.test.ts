import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import {
  AccessDeniedError,
  AlreadyExistsError,
  type App,
  type AppServer,
  BadInputError,
  type Kind,
  NotFoundError,
  type Proxy as ProxyResource,
  type Resource,
  RevisionMismatchError,
  type Role,
  type Token,
  UnauthenticatedError,
  type User,
  type VnetConfig,
} from "../api/mod.ts";
import { type AuditLog, openAuditLog } from "../audit/mod.ts";
import { silentLogger, systemClock } from "../base/mod.ts";
import { createCsr, generateKeyPair, identityOf, verifyChain } from "../pki/mod.ts";
import { type ClientIdentity, fetchTrust, joinCluster, RpcClient, tcpDial, type WatchEventOf } from "../rpc/mod.ts";
import { type Backend, openMemory } from "../storage/mod.ts";
import { ADMIN_FILE, type AuthConfig, type AuthService, startAuth } from "./mod.ts";

const CLUSTER = "root.test";
const PASSWORD = "correct horse battery staple";

class TestAuth {
  readonly dataDir: string;
  readonly backend: Backend = openMemory({ clock: systemClock });
  readonly audit: AuditLog;
  service!: AuthService;
  hostCas: readonly string[] = [];
  readonly #clients: RpcClient[] = [];

  constructor(dataDir: string, audit: AuditLog) {
    this.dataDir = dataDir;
    this.audit = audit;
  }

  static async start(config: Partial<AuthConfig> = {}): Promise<TestAuth> {
    const dataDir = await mkdtemp(join(tmpdir(), "auth-"));
    const auth = new TestAuth(dataDir, await openAuditLog({ dir: join(dataDir, "log"), clock: systemClock }));
    await auth.restart(config);
    return auth;
  }

  async restart(config: Partial<AuthConfig> = {}): Promise<void> {
    await this.service?.close();
    this.service = await startAuth({
      config: { clusterName: CLUSTER, listenAddr: "127.0.0.1:0", secondFactors: [], ...config },
      dataDir: this.dataDir,
      backend: this.backend,
      audit: this.audit,
      clock: systemClock,
      log: silentLogger,
    });
    this.hostCas = (await fetchTrust({ dial: this.dial })).hostCas;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.close();
    await this.service.close();
    await this.audit[Symbol.asyncDispose]();
    await this.backend[Symbol.asyncDispose]();
    await rm(this.dataDir, { recursive: true });
  }

  get dial() {
    return tcpDial(this.service.listenAddress);
  }

  client(identity?: ClientIdentity): RpcClient {
    const client = new RpcClient({ dial: this.dial, trust: { hostCas: this.hostCas }, identity });
    this.#clients.push(client);
    return client;
  }

  async admin(): Promise<RpcClient> {
    const { cert, key } = JSON.parse(await readFile(join(this.dataDir, ADMIN_FILE), "utf8"));
    return this.client({ certPem: cert, keyPem: key });
  }

  async createUser(name: string, roles: string[]): Promise<void> {
    const { token } = await (await this.admin()).call("user.invite", { name, roles });
    await this.client().call("invite.accept", { token, password: PASSWORD });
  }

  async login(user: string, password = PASSWORD, ttlSeconds?: number): Promise<RpcClient & { certPem: string }> {
    const keys = await generateKeyPair();
    const answer = await this.client().call("login.password", {
      user,
      password,
      csr: await createCsr(keys),
      ...(ttlSeconds !== undefined && { ttl_seconds: ttlSeconds }),
    });
    const certPem = answer.cert;
    return Object.assign(this.client({ certPem, keyPem: keys.keyPem }), { certPem });
  }

  async host(role: "App" | "Proxy", hostId: string = randomUUID()): Promise<RpcClient & { hostId: string }> {
    return Object.assign(this.client(await this.service.localIdentity(role, hostId)), { hostId });
  }

  async events(...types: string[]) {
    return (await this.audit.search({ types })) as (Record<string, unknown> & { event: string; code: string })[];
  }
}

let auth: TestAuth;
before(async () => {
  auth = await TestAuth.start();
  await auth.createUser("alice", ["access"]);
  await auth.createUser("ed", ["editor"]);
});
after(() => auth?.close());

async function newCsr(): Promise<string> {
  return createCsr(await generateKeyPair());
}

function vnetConfig(suffix: string): VnetConfig {
  return {
    kind: "vnet_config",
    version: "v1",
    metadata: { name: "vnet-config" },
    spec: { custom_dns_zones: [{ suffix }] },
  };
}

function role(name: string, labels: Record<string, string>): Role {
  return { kind: "role", version: "v7", metadata: { name }, spec: { allow: { app_labels: labels } } };
}

function appServer(
  hostId: string,
  name: string,
  o: { labels?: Record<string, string>; addr?: string; uri?: string } = {},
): AppServer {
  const app: App = {
    kind: "app",
    version: "v3",
    metadata: { name, labels: o.labels ?? {} },
    spec: { uri: o.uri ?? "tcp://localhost:5432", public_addr: o.addr ?? `${name}.proxy.test` },
  };
  return {
    kind: "app_server",
    version: "v3",
    metadata: { name: `${hostId}.${name}` },
    spec: { version: "1", hostname: "h", host_id: hostId, app },
  };
}

async function announce(host: RpcClient, resource: Resource): Promise<Resource> {
  return (await host.call("resource.upsert", { resource })).resource;
}

test("first start: CAs, presets, preference and the administrator's file, kept over a restart", async () => {
  const own = await TestAuth.start();
  try {
    const admin = await own.admin();
    const before = await admin.call("cluster.status", {});
    assert.equal(before.cluster_name, CLUSTER);
    assert.equal((await stat(join(own.dataDir, ADMIN_FILE))).mode & 0o777, 0o600);
    const { resources } = await admin.call("resource.list", { kind: "role" });
    assert.deepEqual(
      resources.map((r) => r.metadata.name),
      ["access", "auditor", "editor"],
    );
    await assert.rejects(admin.call("resource.get", { kind: "vnet_config", name: "vnet-config" }), NotFoundError);
    await admin.call("resource.delete", { kind: "role", name: "auditor" });

    await own.restart({ clusterName: "other.test" });
    const again = await own.admin();
    assert.deepEqual(await again.call("cluster.status", {}), before, "another configured name does not count");
    assert.equal(
      (await again.call("resource.list", { kind: "role" })).resources.length,
      2,
      "a deleted preset stays away",
    );
    const { resources: cas } = await again.call("resource.list", { kind: "cert_authority" });
    assert.deepEqual(
      cas.map((ca) => ca.metadata.name),
      [`host/${CLUSTER}`, `user/${CLUSTER}`],
    );
    assert.doesNotMatch(JSON.stringify(cas), /PRIVATE/);
  } finally {
    await own.close();
  }
});

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
  assert.ok(unknown > known / 2, `known ${known} ms, unknown ${unknown} ms`);
});

test("the lifetime asked for is given, up to the role's bound", async () => {
  const short = identityOf((await auth.login("alice", PASSWORD, 60)).certPem);
  const long = identityOf((await auth.login("alice", PASSWORD, 1_000_000)).certPem);
  assert.ok("expires" in short && "expires" in long);
  assert.ok(Math.abs(short.expires - Date.now() - 60_000) < 5_000);
  assert.ok(Math.abs(long.expires - Date.now() - 30 * 3_600_000) < 5_000);
});

test("second factors are refused by name until they exist", async () => {
  const own = await TestAuth.start({ secondFactors: ["otp"] });
  try {
    await own.createUser("alice", ["access"]);
    await assert.rejects(own.login("alice"), (error: Error) => {
      assert.ok(error instanceof AccessDeniedError);
      assert.match(error.message, /second factor \(otp\).*not there yet.*second_factors: \[\]/);
      return true;
    });
  } finally {
    await own.close();
  }
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
  const { token: lapsing } = await admin.call("user.invite", { name: "jo", roles: ["access"], ttl_seconds: 1 });
  await delay(1_100);
  await assert.rejects(nobody.call("invite.accept", { token: lapsing, password: PASSWORD }), /not valid/);
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

test("joining: the token's roles and life bound what a host becomes", async () => {
  const admin = await auth.admin();
  const token = (name: string, roles: Token["spec"]["roles"], expires?: string): Token => ({
    kind: "token",
    version: "v2",
    metadata: { name, ...(expires && { expires }) },
    spec: { roles },
  });
  await admin.call("resource.create", { resource: token("app-secret", ["App"]) });
  const lapses = new Date(Date.now() + 700).toISOString();
  await admin.call("resource.create", { resource: token("short-secret", ["App"], lapses) });
  const { ca_pins } = await admin.call("cluster.status", {});
  const hostId = randomUUID();
  const join = (name: string, roles: ("App" | "Proxy")[], pins: string[] = ca_pins) =>
    joinCluster({ dial: auth.dial, pins, token: name, roles, hostId, nodeName: "n1" });

  const joined = await join(" app-secret\n", ["App"]);
  assert.deepEqual(verifyChain(joined.certPem, joined.hostCas, Date.now()), {
    kind: "host",
    cluster: CLUSTER,
    hostId,
    roles: ["App"],
  });
  await announce(auth.client(joined), appServer(hostId, "joined-app"));
  await assert.rejects(join("app-secret", ["Proxy"]), /does not allow the role Proxy/);
  await assert.rejects(join("wrong", ["App"]), /not valid or has expired/);
  await assert.rejects(join("app-secret", ["App"], ["sha256:00"]), /CA pin/);
  await delay(800);
  await assert.rejects(join("short-secret", ["App"]), /not valid or has expired/);
  const events = await auth.events("instance.join");
  assert.deepEqual(
    events.map((event) => event.code),
    ["TJ002I", "TJ002E", "TJ002E", "TJ002E"],
  );
  assert.doesNotMatch(JSON.stringify(await auth.events("instance.join", "join_token.create")), /app-secret/);

  await auth.restart({ staticTokens: [{ token: "static", roles: ["App", "Proxy"] }] });
  assert.equal((await join("static", ["App", "Proxy"])).cluster, CLUSTER);
});

test("resources: create once, update what was read, overwrite by upsert", async () => {
  for (const client of [await auth.admin(), await auth.login("ed")]) {
    const { resource: first } = await client.call("resource.create", { resource: vnetConfig("company.test") });
    await assert.rejects(client.call("resource.create", { resource: vnetConfig("x.test") }), {
      name: "AlreadyExistsError",
      message: "vnet_config already exists",
    });
    const edited = { ...vnetConfig("two.test"), metadata: first.metadata };
    const { resource: second } = await client.call("resource.update", { resource: edited });
    assert.notEqual(second.metadata.revision, first.metadata.revision);
    await assert.rejects(client.call("resource.update", { resource: edited }), (error: Error) => {
      assert.ok(error instanceof RevisionMismatchError);
      assert.match(error.message, /concurrently.*latest state.*--force/);
      return true;
    });
    await client.call("resource.upsert", { resource: vnetConfig("three.test") });
    const { resource } = await client.call("resource.get", { kind: "vnet_config", name: "vnet-config" });
    assert.deepEqual(resource.spec, vnetConfig("three.test").spec);
    await client.call("resource.delete", { kind: "vnet_config", name: "vnet-config" });
    await assert.rejects(client.call("resource.update", { resource: edited }), NotFoundError);
  }
  const events = await auth.events("vnet.config.create", "vnet.config.update", "vnet.config.delete");
  const mine = events.filter((event) => event.user === "ed").map((event) => `${event.code} ${event.success}`);
  assert.deepEqual(mine, [
    "TVNET001I true",
    "TVNET001I false",
    "TVNET002I true",
    "TVNET002I false",
    "TVNET001I true",
    "TVNET003I true",
    "TVNET002I false",
  ]);
});

test("rules: who may not is told so, and changes nothing", async () => {
  const alice = await auth.login("alice");
  await assert.rejects(
    alice.call("resource.create", { resource: vnetConfig("a.test") }),
    /do not allow to create vnet_config/,
  );
  await assert.rejects(alice.call("user.invite", { name: "x", roles: ["editor"] }), AccessDeniedError);
  for (const kind of ["user", "role", "token"] as const) {
    await assert.rejects(alice.call("resource.list", { kind }), AccessDeniedError);
    await assert.rejects(alice.watch([kind]).next(), AccessDeniedError);
  }
  const ed = await auth.login("ed");
  await assert.rejects(ed.call("resource.get", { kind: "user", name: "é".repeat(1000) }), /name is too long/);
  await assert.rejects(ed.call("resource.get", { kind: "user", name: "\ud800" }), /not Unicode/);
  await assert.rejects(ed.call("audit.search", {}), AccessDeniedError);
  await assert.rejects(ed.call("resource.upsert", { resource: appServer(randomUUID(), "own") }), AccessDeniedError);
  await assert.rejects(ed.call("resource.delete", { kind: "role", name: "access" }), /in use by user "alice"/);
  const events = await alice.call("audit.search", { types: ["user.login"] });
  assert.ok(events.events.length > 0, "the access preset reads events, as in Teleport");
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

test("hosts write their own announcements only, which lapse by Auth's clock", async () => {
  const agent = await auth.host("App");
  const proxy = await auth.host("Proxy");
  const server = appServer(agent.hostId, "one");
  server.metadata.expires = "2001-01-01T00:00:00Z"; // a host whose clock is wrong
  const stored = await announce(agent, server);
  const lives = Date.parse(stored.metadata.expires ?? "") - Date.now();
  assert.ok(lives > 590_000 && lives <= 600_000);

  await assert.rejects(announce(agent, appServer(randomUUID(), "two")), /may not speak for/);
  await assert.rejects(announce(proxy, appServer(proxy.hostId, "two")), AccessDeniedError);
  await assert.rejects(announce(agent, vnetConfig("x.test")), AccessDeniedError);
  await assert.rejects(
    proxy.call("resource.delete", { kind: "app_server", name: stored.metadata.name }),
    AccessDeniedError,
  );
  for (const kind of ["user", "token"] as const) {
    await assert.rejects(agent.call("resource.list", { kind }), AccessDeniedError);
    await assert.rejects(proxy.call("resource.list", { kind }), AccessDeniedError);
  }
  await agent.call("resource.delete", { kind: "app_server", name: stored.metadata.name });
});

test("a public_addr belongs to one app and never to a proxy's name", async () => {
  const proxy = await auth.host("Proxy");
  const resource: ProxyResource = {
    kind: "proxy",
    version: "v1",
    metadata: { name: proxy.hostId },
    spec: { hostname: "p", version: "1", public_addrs: ["Proxy.test:443"], tunnel_public_addr: "10.0.0.1:443" },
  };
  await announce(proxy, resource);
  assert.deepEqual((await auth.client().call("cluster.ping", {})).proxies, ["Proxy.test:443"]);
  const [first, second] = [await auth.host("App"), await auth.host("App")];
  await announce(first, appServer(first.hostId, "shop", { addr: "shop.test" }));
  await announce(second, appServer(second.hostId, "shop", { addr: "shop.test" }));
  await assert.rejects(
    announce(second, appServer(second.hostId, "evil", { addr: "shop.test" })),
    /belongs to app "shop"/,
  );
  await assert.rejects(
    announce(second, appServer(second.hostId, "evil", { addr: "proxy.test" })),
    /belongs to a proxy/,
  );
  const events = (await auth.events("app.create")).filter((event) => event.server_id === second.hostId);
  assert.deepEqual(
    events.map((event) => [event.success, event.app_public_addr]),
    [
      [false, "shop.test"],
      [false, "proxy.test"],
    ],
  );
  const { url } = await (await auth.admin()).call("user.invite", { name: "link", roles: ["access"] });
  assert.match(url, /^https:\/\/Proxy\.test\/web\/invite\/[0-9a-f]{32}$/);
});

async function take(events: AsyncIterator<WatchEventOf<Kind>>, count: number): Promise<string[]> {
  const taken: string[] = [];
  while (taken.length < count) {
    const { value } = await events.next();
    const event = value as WatchEventOf<Kind>;
    const name = event.type === "put" ? event.resource.metadata.name : event.type === "delete" ? event.name : "";
    taken.push(`${event.type} ${name}`.trim());
  }
  return taken;
}

test("a user lists and follows only apps within reach, and a change of role moves the border", async () => {
  const admin = await auth.admin();
  const agent = await auth.host("App");
  const id = agent.hostId;
  await admin.call("resource.create", { resource: role("blue-only", { team: "blue" }) });
  await auth.createUser("bea", ["blue-only"]);
  await announce(agent, appServer(id, "blue", { labels: { team: "blue" } }));
  await announce(agent, appServer(id, "red", { labels: { team: "red" } }));
  const bea = await auth.login("bea");
  const { resources } = await bea.call("resource.list", { kind: "app_server" });
  assert.deepEqual(
    resources.map((r) => r.metadata.name),
    [`${id}.blue`],
  );
  const hidden = { kind: "app_server", name: `${id}.red` } as const;
  await assert.rejects(bea.call("resource.get", hidden), NotFoundError);

  const events = bea.watch(["app_server", "vnet_config"]);
  assert.deepEqual(await take(events, 2), [`put ${id}.blue`, "init"]);
  await announce(agent, appServer(id, "red", { labels: { team: "red", new: "x" } }));
  await announce(agent, appServer(id, "azure", { labels: { team: "blue" } }));
  await announce(agent, appServer(id, "blue", { labels: { team: "red" } }));
  assert.deepEqual(await take(events, 2), [`put ${id}.azure`, `delete ${id}.blue`]);
  await admin.call("resource.upsert", { resource: role("blue-only", { team: "red" }) });
  assert.deepEqual((await take(events, 3)).sort(), [`delete ${id}.azure`, `put ${id}.blue`, `put ${id}.red`]);
  await admin.call("resource.delete", { kind: "user", name: "bea" });
  await assert.rejects(events.next(), /does not exist any more/);
});

test("app session: certificate, agents, route key for proxies only, renewal, end", async () => {
  const agent = await auth.host("App");
  const proxy = await auth.host("Proxy");
  const other = await auth.host("App");
  const server = appServer(agent.hostId, "db", { labels: { env: "prod" } });
  await announce(agent, server);
  await announce(other, appServer(other.hostId, "db2"));
  const alice = await auth.login("alice", PASSWORD, 600);
  const atProxy = proxy.watch(["app_session"]);
  const atAgent = agent.watch(["app_session"]);
  while ((await atProxy.next()).value?.type !== "init");
  while ((await atAgent.next()).value?.type !== "init");

  const answer = await alice.call("app_session.create", { app: "db", csr: await newCsr() });
  assert.deepEqual(answer.agents, [{ host_id: agent.hostId }]);
  const identity = identityOf(answer.cert);
  assert.ok("kind" in identity && identity.kind === "app");
  assert.deepEqual(identity.route, {
    app: "db",
    publicAddr: "db.proxy.test",
    cluster: CLUSTER,
    sessionId: answer.session_id,
  });
  assert.ok(Date.parse(answer.expires) - Date.now() <= 600_000, "not beyond the login");
  const seen = async (events: AsyncIterator<WatchEventOf<"app_session">>) => {
    const { value } = await events.next();
    assert.ok(value?.type === "put");
    return (value.resource as { spec: { route_key?: string } }).spec.route_key;
  };
  assert.equal(await seen(atProxy), answer.route_key);
  assert.equal(Buffer.from(answer.route_key, "base64").length, 32);
  assert.equal(await seen(atAgent), undefined, "agents get no route key");
  const { resources: own } = await alice.call("resource.list", { kind: "app_session" });
  assert.doesNotMatch(JSON.stringify(own), /route_key/);

  const longer = await auth.login("alice");
  const renewed = await longer.call("app_session.renew", { session_id: answer.session_id, csr: await newCsr() });
  assert.equal(renewed.route_key, answer.route_key);
  assert.ok(Date.parse(renewed.expires) - Date.now() > 3_500_000, "as long as the newer login allows, up to 1 h");
  await announce(other, appServer(other.hostId, "db"));
  const { agents } = await alice.call("app_session.agents", { session_id: answer.session_id });
  assert.deepEqual(agents.map((a) => a.host_id).sort(), [agent.hostId, other.hostId].sort());

  await auth.createUser("mel", ["access"]);
  const mel = await auth.login("mel");
  await assert.rejects(
    mel.call("app_session.renew", { session_id: answer.session_id, csr: await newCsr() }),
    NotFoundError,
  );
  await mel.call("app_session.end", { session_id: answer.session_id }); // not hers: nothing happens
  await alice.call("app_session.agents", { session_id: answer.session_id });

  await alice.call("app_session.end", {});
  await assert.rejects(alice.call("app_session.agents", { session_id: answer.session_id }), /has ended/);
  let ended: unknown;
  while (ended !== answer.session_id) {
    const { value } = await atProxy.next();
    if (value?.type === "delete") ended = value.name;
  }
  const [start] = (await auth.events("app.session.start")).filter((event) => event.sid === answer.session_id);
  assert.deepEqual([start?.code, start?.user, start?.app_name], ["T2007I", "alice", "db"]);
  await atProxy.return?.(undefined);
  await atAgent.return?.(undefined);
});

test("app sessions are refused for apps that are not there, not allowed, or not TCP, and an app certificate opens no API", async () => {
  const agent = await auth.host("App");
  await announce(agent, appServer(agent.hostId, "secret", { labels: { team: "x" } }));
  await announce(agent, appServer(agent.hostId, "page", { uri: "http://localhost" }));
  const [alice, ed] = [await auth.login("alice"), await auth.login("ed")];
  const open = async (who: RpcClient, app: string) => who.call("app_session.create", { app, csr: await newCsr() });
  const missing = await open(ed, "nothing").catch((error: Error) => error);
  const denied = await open(ed, "secret").catch((error: Error) => error);
  assert.ok(missing instanceof NotFoundError && denied instanceof NotFoundError);
  assert.equal(denied.message, missing.message.replace("nothing", "secret"));
  const [event] = (await auth.events("app.session.start")).filter((e) => e.app_name === "secret");
  assert.equal(event?.code, "T2007E");
  await assert.rejects(open(alice, "page"), BadInputError);
  await assert.rejects(alice.call("app_session.create", { app: "secret", csr: "x" }), BadInputError);

  const keys = await generateKeyPair();
  const { cert } = await alice.call("app_session.create", { app: "secret", csr: await createCsr(keys) });
  const byRoute = auth.client({ certPem: cert, keyPem: keys.keyPem });
  await assert.rejects(byRoute.call("cluster.ping", {}), /app certificate/);
});

test("sessions end when the user's or role's change takes the app away", async () => {
  const admin = await auth.admin();
  const agent = await auth.host("App");
  await announce(agent, appServer(agent.hostId, "green", { labels: { team: "green" } }));
  await admin.call("resource.create", { resource: role("green-only", { team: "green" }) });
  await auth.createUser("gus", ["green-only", "auditor"]);
  const gus = await auth.login("gus");
  const open = async () => (await gus.call("app_session.create", { app: "green", csr: await newCsr() })).session_id;
  const alive = async (session_id: string) =>
    gus.call("app_session.agents", { session_id }).then(
      () => true,
      () => false,
    );

  const first = await open();
  await admin.call("resource.upsert", { resource: role("green-only", { team: "*" }) });
  assert.equal(await alive(first), true, "a change that leaves the app leaves the session");
  await admin.call("resource.upsert", { resource: role("green-only", { team: "red" }) });
  assert.equal(await alive(first), false);
  await admin.call("resource.upsert", { resource: role("green-only", { team: "green" }) });
  const second = await open();
  const { resource } = await admin.call("resource.get", { kind: "user", name: "gus" });
  const user = resource as User;
  await admin.call("resource.update", { resource: { ...user, spec: { ...user.spec, roles: ["auditor"] } } });
  assert.equal(await alive(second), false);
});

test("an agent reports only its own streams", async () => {
  const agent = await auth.host("App");
  const proxy = await auth.host("Proxy");
  const event = (o: object) => ({
    event: "app.session.end",
    ei: 0,
    uid: randomUUID(),
    code: "T2011I",
    time: new Date().toISOString(),
    cluster_name: CLUSTER,
    server_id: agent.hostId,
    sid: "ab".repeat(16),
    app_name: "db",
    bytes_in: 1,
    bytes_out: 2,
    ...o,
  });
  const emit = (host: RpcClient, o: object) => host.call("audit.emit", { events: [event(o)] as never });
  const uid = randomUUID();
  await emit(agent, { uid });
  await emit(agent, { uid }); // delivered twice by the spool
  assert.equal((await auth.events("app.session.end")).filter((e) => e.uid === uid).length, 1);
  await assert.rejects(emit(agent, { server_id: randomUUID() }), BadInputError);
  await assert.rejects(emit(agent, { cluster_name: "other" }), BadInputError);
  const login = { event: "user.login", code: "T1000I", method: "local" };
  const { sid: _, app_name: __, bytes_in: ___, bytes_out: ____, ...plain } = event(login);
  await assert.rejects(agent.call("audit.emit", { events: [plain] as never }), BadInputError);
  await assert.rejects(emit(proxy, {}), AccessDeniedError);
});

test("a preference from the configuration file is not edited behind its back", async () => {
  const own = await TestAuth.start({ authentication: { secondFactors: [], fromFile: true } });
  try {
    const admin = await own.admin();
    const ref = { kind: "cluster_auth_preference", name: "cluster-auth-preference" } as const;
    const { resource } = await admin.call("resource.get", ref);
    await assert.rejects(admin.call("resource.update", { resource }), /configuration file/);
    await admin.call("resource.upsert", { resource });
  } finally {
    await own.close();
  }
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
  assert.ok(all.length > 4);
  assert.deepEqual(paged, all);
});
