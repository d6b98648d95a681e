import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import {
  AccessDeniedError,
  BadInputError,
  type Resource,
  type TrustedCluster,
  UnauthenticatedError,
} from "../../api/mod.ts";
import { silentLogger, systemClock } from "../../base/mod.ts";
import { createCa } from "../../pki/mod.ts";
import { type ClientIdentity, callUnverified, type RpcClient, type RpcHandlers, RpcServer } from "../../rpc/mod.ts";
import { announce, appServer, newCsr, role, TestAuth } from "../test-auth.ts";
import { leafProof, rootProof } from "./trust-proof.ts";

const ROOT = "root.test";
const LEAF = "leaf.test";
const TOKEN = "a token for trusted clusters".replaceAll(" ", "-");

let root: TestAuth;
let leaf: TestAuth;
let agent: RpcClient & { hostId: string };

before(async () => {
  root = await TestAuth.start({ clusterName: ROOT, staticTokens: [{ token: TOKEN, roles: ["TrustedCluster"] }] });
  leaf = await TestAuth.start({ clusterName: LEAF });
  await (await leaf.admin()).call("resource.create", { resource: role("visitor", { env: "dev" }) });
  agent = await leaf.host("App");
  for (const env of ["dev", "prod"]) {
    await announce(agent, appServer(agent.hostId, `${env}-db`, { labels: { env }, addr: `${env}-db.leaf.test` }));
  }
  await root.createUser("alice", ["access"]);
  await root.createUser("eve", ["auditor"]);
  await leaf.createUser("alice", ["access"]);
});

after(async () => {
  await leaf.close();
  await root.close();
});

function trustedCluster(o: Partial<TrustedCluster["spec"]> = {}, name = ROOT): TrustedCluster {
  return {
    kind: "trusted_cluster",
    version: "v2",
    metadata: { name },
    spec: {
      token: TOKEN,
      web_proxy_addr: root.service.listenAddress,
      role_map: [{ remote: "access", local: ["visitor"] }],
      ...o,
    },
  };
}

async function writeTrust(resource: TrustedCluster): Promise<Resource> {
  return (await (await leaf.admin()).call("resource.upsert", { resource })).resource;
}

/** The leaf's API as a user of the root calls it. */
async function atLeaf(user: string): Promise<RpcClient> {
  return leaf.client((await root.as(user)).identity);
}

/** Who answers like a root that is asked for a trust. */
async function rogueRoot(answer: RpcHandlers["trust.establish"]) {
  const { certPem, keyPem } = await root.service.localIdentity("Proxy", randomUUID());
  const handlers = { "trust.establish": answer } as Partial<RpcHandlers> as RpcHandlers;
  const o = { certPem, keyPem, cluster: ROOT, authorities: () => [], clock: systemClock, log: silentLogger };
  const server = new RpcServer({ ...o, handlers });
  const { port } = await server.listen("127.0.0.1", 0);
  return { address: `127.0.0.1:${port}`, [Symbol.asyncDispose]: () => server.close() };
}

async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (let i = 0; i < 200; i++) {
    const found = await look().catch(() => undefined);
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("it did not happen");
}

/** A host of the cluster's own, as its authority can make any. */
function hostOf(auth: TestAuth, role: "App" | "Auth"): Promise<ClientIdentity> {
  return auth.service.localIdentity(role as "App", randomUUID());
}

/** A session that alice opened at the root for the leaf's app. */
async function sessionAtLeaf(): Promise<string> {
  const request = { app: "dev-db", cluster: LEAF, public_addr: "dev-db.leaf.test", csr: await newCsr() };
  const { session_id } = await (await root.as("alice")).call("app_session.create", request);
  await eventually(() => seenByAgent(session_id));
  return session_id;
}

async function seenByAgent(name: string) {
  const { resource } = await agent.call("resource.get", { kind: "app_session", name });
  return resource.kind === "app_session" ? resource : undefined;
}

async function goneAtLeaf(name: string): Promise<void> {
  await eventually(async () => {
    const { resources } = await agent.call("resource.list", { kind: "app_session" });
    return resources.every(({ metadata }) => metadata.name !== name) || undefined;
  });
}

test("a wrong token, a wrong name and an unknown role are refused, and leave nothing", async () => {
  await assert.rejects(
    writeTrust(trustedCluster({ token: "wrong-token-wrong-token" })),
    /not valid, has expired, or is not for/,
  );
  await assert.rejects(
    writeTrust(trustedCluster({}, "other.test")),
    /is called "root.test": name the trusted_cluster so/,
  );
  const roleMap = [{ remote: "access", local: ["no-such-role"] }];
  await assert.rejects(writeTrust(trustedCluster({ role_map: roleMap })), /role "no-such-role" does not exist/);
  await assert.rejects(writeTrust(trustedCluster({ token: undefined })), /spec.token is missing/);
  await assert.rejects(
    writeTrust(trustedCluster({ web_proxy_addr: "127.0.0.1:1" })),
    /the root cluster cannot be reached at 127\.0\.0\.1:1 \(spec\.web_proxy_addr\)/,
  );
  assert.deepEqual((await (await leaf.admin()).call("resource.list", { kind: "trusted_cluster" })).resources, []);
  await assert.rejects(
    atLeaf("alice").then((api) => api.call("cluster.ping", {})),
    UnauthenticatedError,
  );
});

test("by a token of the root the leaf becomes one, and keeps no token", async () => {
  const written = await writeTrust(trustedCluster());
  assert.ok(!JSON.stringify(written).includes(TOKEN));
  const remote = await (await root.admin()).call("resource.get", { kind: "remote_cluster", name: LEAF });
  assert.equal(
    remote.resource.kind === "remote_cluster" && remote.resource.status?.connection,
    "offline",
    "no proxy yet",
  );
  const online = await eventually(async () => {
    const { resource } = await (await leaf.admin()).call("resource.get", { kind: "trusted_cluster", name: ROOT });
    return resource.kind === "trusted_cluster" ? resource.status : undefined;
  });
  assert.equal(online.connection, "online");
  assert.equal((await leaf.events("trusted_cluster.create")).filter(({ success }) => success).length, 1);
});

test("a leaf is online while a proxy of the root says so", async () => {
  const proxy = await root.host("Proxy");
  const resource = (leaf_clusters: string[]): Resource => ({
    kind: "proxy",
    version: "v1",
    metadata: { name: proxy.hostId },
    spec: { hostname: "p", version: "1", public_addrs: ["p:443"], tunnel_public_addr: "p:443", leaf_clusters },
  });
  const is = (state: string) =>
    eventually(async () => {
      const { resource } = await (await root.as("alice")).call("resource.get", { kind: "remote_cluster", name: LEAF });
      return (resource.kind === "remote_cluster" && resource.status?.connection === state) || undefined;
    });
  await announce(proxy, resource([LEAF]));
  await is("online");
  await announce(proxy, resource([]));
  await is("offline");
});

test("a root's user sees of the leaf what the role map gives, and may write nothing", async () => {
  const api = await atLeaf("alice");
  const { resources } = await api.call("resource.list", { kind: "app_server" });
  assert.deepEqual(
    resources.map((each) => each.kind === "app_server" && each.spec.app.metadata.name),
    ["dev-db"],
  );
  for (const kind of ["user", "role", "token", "app_session", "trusted_cluster", "cert_authority", "lock"] as const) {
    await assert.rejects(api.call("resource.list", { kind }), AccessDeniedError, kind);
  }
  await assert.rejects(
    api.call("resource.upsert", { resource: role("mine", { "*": "*" }) }),
    /is not for a remote_user/,
  );
  await assert.rejects(
    api.call("app_session.create", { app: "dev-db", csr: await newCsr() }),
    /is not for a remote_user/,
  );
  await assert.rejects((await atLeaf("eve")).call("resource.list", { kind: "app_server" }), /none of your roles/);
});

test("the leaf names the agents of an app to whom may reach it", async () => {
  const api = await atLeaf("alice");
  const answer = await api.call("app.agents", { app: "dev-db", public_addr: "dev-db.leaf.test" });
  assert.deepEqual(answer.agents, [{ host_id: agent.hostId }]);
  assert.deepEqual(answer.host_cas, leaf.hostCas);
  assert.equal(answer.mfa_required, false);
  const visitor = role("visitor", { env: "dev" });
  const strict = { ...visitor, spec: { ...visitor.spec, options: { require_session_mfa: true } } };
  await (await leaf.admin()).call("resource.upsert", { resource: strict });
  const asked = await api.call("app.agents", { app: "dev-db", public_addr: "dev-db.leaf.test" });
  assert.equal(asked.mfa_required, true, "the leaf's own roles want a second factor");
  await (await leaf.admin()).call("resource.upsert", { resource: visitor });
  await assert.rejects(api.call("app.agents", { app: "prod-db", public_addr: "prod-db.leaf.test" }), /is not found/);
});

test("a session for a leaf's app is known there without its route key, until the user logs out", async () => {
  const id = await sessionAtLeaf();
  const { spec } = (await seenByAgent(id))!;
  assert.deepEqual(
    [spec.user, spec.app, spec.cluster, spec.root, spec.route_key],
    ["alice", "dev-db", LEAF, ROOT, undefined],
  );
  const [start] = (await root.events("app.session.start")).filter(({ sid }) => sid === id);
  assert.equal(start?.cluster_name, LEAF);
  await (await root.as("alice")).call("app_session.end", {});
  await goneAtLeaf(id);
});

test("the leaf's own user of the same name neither sees nor ends it", async () => {
  const id = await sessionAtLeaf();
  const local = await leaf.as("alice");
  assert.deepEqual((await local.call("resource.list", { kind: "app_session" })).resources, []);
  await local.call("app_session.end", { session_id: id });
  await assert.rejects(local.call("app_session.renew", { session_id: id, csr: await newCsr() }), /has ended/);
  assert.ok(await seenByAgent(id));
});

test("a lock at the root ends the user's sessions in its leaves", async () => {
  const id = await sessionAtLeaf();
  const lock: Resource = { kind: "lock", version: "v2", metadata: { name: "l" }, spec: { target: { user: "alice" } } };
  await (await root.admin()).call("resource.create", { resource: lock });
  await goneAtLeaf(id);
  await (await root.admin()).call("resource.delete", { kind: "lock", name: "l" });
});

test("a lock at the leaf on a root's user keeps that user out, and not the local one", async () => {
  const spec = { target: { user: `remote-alice-${ROOT}` } };
  const lock: Resource = { kind: "lock", version: "v2", metadata: { name: "l" }, spec };
  await (await leaf.admin()).call("resource.create", { resource: lock });
  await assert.rejects((await atLeaf("alice")).call("cluster.ping", {}), /lock targeting User/);
  await (await leaf.as("alice")).call("cluster.ping", {});
  await (await leaf.admin()).call("resource.delete", { kind: "lock", name: "l" });
});

test("a leaf learns of the root's sessions for its own apps only, and nothing else", async () => {
  const rootAgent = await root.host("App");
  await announce(rootAgent, appServer(rootAgent.hostId, "root-db"));
  await (await root.as("alice")).call("app_session.create", { app: "root-db", csr: await newCsr() });
  const id = await sessionAtLeaf();
  const asLeaf = root.client(await hostOf(leaf, "Auth"));
  const names: string[] = [];
  for await (const event of asLeaf.watch(["app_session"])) {
    if (event.type === "init") break;
    if (event.type === "put") names.push(event.resource.metadata.name);
  }
  assert.deepEqual(names, [id]);
  for (const kind of ["app_server", "user", "lock", "cert_authority", "token"] as const) {
    await assert.rejects(Array.fromAsync(asLeaf.watch([kind])), /a leaf cluster may not read/);
  }
  await assert.rejects(asLeaf.call("resource.list", { kind: "app_session" }), /is not for a leaf/);
  const asLeafAgent = root.client(await hostOf(leaf, "App"));
  await assert.rejects(asLeafAgent.call("cluster.ping", {}), /not for a host of cluster "leaf.test"/);
});

test("a cluster cannot take the name of a leaf, or of the root", async () => {
  const impostor = await TestAuth.start({ clusterName: LEAF });
  const twin = await TestAuth.start({ clusterName: ROOT });
  try {
    for (const [other, refusal] of [
      [impostor, /another cluster is a leaf under the name/],
      [twin, /cannot trust itself/],
    ] as const) {
      await (await other.admin()).call("resource.create", { resource: role("visitor", {}) });
      const writing = (await other.admin()).call("resource.create", { resource: trustedCluster() });
      await assert.rejects(writing, refusal);
    }
  } finally {
    await impostor.close();
    await twin.close();
  }
});

test("who answers in the root's place without its token is not believed", async () => {
  const { hostCas, userCas } = await root.service.localIdentity("Proxy", randomUUID());
  let heard = "";
  await using rogue = await rogueRoot((request) => {
    heard = JSON.stringify(request);
    return { cluster_name: ROOT, host_cas: [...hostCas], user_cas: [...userCas], tunnel_addrs: [], mac: request.mac };
  });
  const web_proxy_addr = rogue.address;
  await assert.rejects(writeTrust(trustedCluster({ web_proxy_addr })), /does not know the token: it is not the root/);
  assert.ok(heard !== "" && !heard.includes(TOKEN), "the token does not cross");
});

test("neither side may bring an authority that speaks for anybody but itself", async () => {
  const now = Date.now();
  const ca = async (cluster: string, type: "host" | "user") => (await createCa({ cluster, type, now })).certPem;
  const nonce = "00".repeat(32);
  const hostile = [
    { cluster_name: "new.test", host_cas: [await ca(ROOT, "host")] },
    { cluster_name: "new.test", host_cas: [await ca("new.test", "user")] },
    { cluster_name: "new.test", host_cas: [await ca("new.test", "host"), await ca(LEAF, "host")] },
    { cluster_name: "new.test", host_cas: ["no certificate"] },
    { cluster_name: "new.test", host_cas: [] },
  ];
  for (const facts of hostile) {
    const request = { ...facts, nonce, mac: leafProof(TOKEN, { ...facts, nonce }) };
    await assert.rejects(callUnverified({ dial: root.dial }, "trust.establish", request), BadInputError);
  }
  const remote = await (await root.admin()).call("resource.list", { kind: "remote_cluster" });
  assert.deepEqual(
    remote.resources.map(({ metadata }) => metadata.name),
    [LEAF],
  );

  const facts = { cluster_name: "evil.test", tunnel_addrs: [] };
  const own = { host_cas: [await ca("evil.test", "host")], user_cas: [await ca("evil.test", "user")] };
  for (const cas of [
    { ...own, user_cas: [await ca(LEAF, "user")] },
    { ...own, user_cas: own.host_cas },
    { ...own, host_cas: [await ca(LEAF, "host")] },
  ]) {
    const said = { ...facts, ...cas };
    const answer = ({ mac }: { mac: string }) => ({ ...said, mac: rootProof(TOKEN, mac, said) });
    await using evil = await rogueRoot(answer);
    const resource = trustedCluster({ web_proxy_addr: evil.address }, "evil.test");
    await assert.rejects(writeTrust(resource), /is not a (user|host) authority of cluster "evil.test"/);
  }
});

test("a new role map counts at once, and without another token", async () => {
  const api = await atLeaf("alice");
  await (await leaf.admin()).call("resource.create", { resource: role("all", { "*": "*" }) });
  await writeTrust(trustedCluster({ token: undefined, role_map: [{ remote: "*", local: ["all"] }] }));
  assert.equal((await api.call("resource.list", { kind: "app_server" })).resources.length, 2);
});

test("a trust that is disabled lets nobody in, and can be enabled again", async () => {
  const id = await sessionAtLeaf();
  await writeTrust(trustedCluster({ token: undefined, enabled: false }));
  await goneAtLeaf(id);
  await assert.rejects((await atLeaf("alice")).call("cluster.ping", {}), UnauthenticatedError);
  await writeTrust(trustedCluster({ token: undefined }));
  await (await atLeaf("alice")).call("cluster.ping", {});
});

test("without the trust neither side knows the other", async () => {
  const id = await sessionAtLeaf();
  await (await leaf.admin()).call("resource.delete", { kind: "trusted_cluster", name: ROOT });
  await goneAtLeaf(id);
  await assert.rejects((await atLeaf("alice")).call("cluster.ping", {}), UnauthenticatedError);
  await (await root.admin()).call("resource.delete", { kind: "remote_cluster", name: LEAF });
  await assert.rejects(
    root.client(await hostOf(leaf, "Auth")).call("trust.renew", { host_cas: [...leaf.hostCas] }),
    UnauthenticatedError,
  );
  const request = { app: "dev-db", cluster: LEAF, public_addr: "dev-db.leaf.test", csr: await newCsr() };
  await assert.rejects(
    (await root.as("alice")).call("app_session.create", request),
    /is not known here: see tsh clusters/,
  );
});
