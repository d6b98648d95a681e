import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, type TestContext, test } from "node:test";
import type { ClusterView, TrustedCluster, VnetConfig } from "../api/mod.ts";
import { Counters, encodeUtf8, silentLogger, sleep, systemClock, systemRandom } from "../base/mod.ts";
import { StreamUser, startTestCluster, type TestCluster } from "../testkit/mod.ts";
import { AgentTunnel } from "../tunnel/mod.ts";
import { ClusterDirectory } from "./directory.ts";
import { type Profile, ProfileStore } from "./profile.ts";

const ROOT = "root.test";
const LEAF = "leaf.test";
const TOKEN = "token-for-trusted-clusters";
const PASSWORD = "correct horse battery";
const NEVER = new AbortController().signal;

let root: TestCluster;
let leaf: TestCluster;

before(async () => {
  const staticTokens = [{ token: TOKEN, roles: ["TrustedCluster"] as const }];
  root = await startTestCluster({ name: ROOT, staticTokens });
  leaf = await startTestCluster({ name: LEAF, publicHost: "leaf.example.com" });
  await root.createUser("alice", PASSWORD);
  await leaf.createUser("bob", PASSWORD);
  await trust();
});

after(async () => {
  await leaf[Symbol.asyncDispose]();
  await root[Symbol.asyncDispose]();
});

async function trust(o: Partial<TrustedCluster["spec"]> = { token: TOKEN }): Promise<void> {
  await using admin = await leaf.adminClient();
  const role_map = [{ remote: "access", local: ["access"] }];
  const spec = { web_proxy_addr: root.proxyAddress, role_map, ...o };
  const resource: TrustedCluster = { kind: "trusted_cluster", version: "v2", metadata: { name: ROOT }, spec };
  await admin.call("resource.upsert", { resource });
}

async function distrust(): Promise<void> {
  await using admin = await leaf.adminClient();
  await admin.call("resource.delete", { kind: "trusted_cluster", name: ROOT });
}

async function profileOf(cluster: TestCluster, name: string, user: string): Promise<Profile> {
  const { client, certPem, keyPem } = await cluster.login(user, PASSWORD);
  await using _ = client;
  const { host_cas, cluster_name } = await client.call("cluster.trust", {});
  const { proxyAddress } = cluster;
  return { name, user, trustGeneration: 1, proxyAddress, cluster: cluster_name, certPem, keyPem, hostCas: host_cas };
}

async function open(t: TestContext, ...profiles: Profile[]) {
  const home = await mkdtemp(path.join(tmpdir(), "tsh-"));
  t.after(() => rm(home, { recursive: true }));
  const store = new ProfileStore(home);
  for (const profile of profiles) await store.save(profile);
  const directory = await ClusterDirectory.open({ store, log: silentLogger, tell: () => {} });
  t.after(() => directory.close());
  const view = (name: string) => directory.clusters().find(({ cluster }) => cluster === name);
  return { directory, store, view };
}

async function soon(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const until = performance.now() + 8_000;
  while (!(await holds())) {
    assert.ok(performance.now() < until, `not within 8 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function echoes(user: StreamUser): Promise<void> {
  const before = user.received.length;
  user.send(encodeUtf8("hello"));
  await Promise.race([user.until(before + 5), user.closed.then((how) => assert.fail(`closed: ${how}`))]);
}

async function dial(directory: ClusterDirectory, view: ClusterView | undefined): Promise<StreamUser> {
  assert.ok(view);
  const app = view.apps.find(({ name }) => name === "echo");
  assert.ok(app);
  return new StreamUser(await directory.dial(view, app, 80, NEVER));
}

const hasApps = (view: ClusterView | undefined) => (view?.apps.length ?? 0) > 0;

test("a leaf's app is found and reached through the login to its root", async (t) => {
  const { directory, store, view } = await open(t, await profileOf(root, "localhost", "alice"));
  await soon("the leaf is seen", () => hasApps(view(LEAF)));
  assert.deepEqual(
    directory
      .clusters()
      .map(({ cluster, profile, leaf: isLeaf, proxyHosts }) => [cluster, profile, isLeaf, proxyHosts]),
    [
      [ROOT, "localhost", undefined, ["localhost"]],
      [LEAF, "localhost", true, ["leaf.example.com"]],
    ],
  );
  assert.equal(view(LEAF)!.apps[0]!.publicAddr, "echo.leaf.example.com");
  const stream = await dial(directory, view(LEAF));
  await echoes(stream);
  await echoes(await dial(directory, view(ROOT)));

  const starts = (await leaf.auditEvents(["app.session.start"])).filter((event) => event.event === "app.session.start");
  assert.deepEqual(
    starts.map(({ user, cluster_name, user_roles }) => [user, cluster_name, user_roles]),
    [["remote-alice-root.test", LEAF, ["access"]]],
  );
  await store.remove("localhost");
  assert.notEqual(await stream.closed, "end", "a logout ends it");
});

test("each cluster has its own vnet_config, and a change of the leaf's is in effect at once", async (t) => {
  const { view } = await open(t, await profileOf(root, "localhost", "alice"));
  await soon("the leaf is seen", () => hasApps(view(LEAF)));
  await using admin = await leaf.adminClient();
  const resource: VnetConfig = {
    kind: "vnet_config",
    version: "v1",
    metadata: { name: "vnet-config" },
    spec: { ipv4_cidr_range: "100.99.0.0/16", custom_dns_zones: [{ suffix: "leaf.company.test" }] },
  };
  await admin.call("resource.upsert", { resource });
  await soon("the zone", () => view(LEAF)!.zones.includes("leaf.company.test"));
  assert.equal(view(LEAF)!.ipv4Cidr, "100.99.0.0/16");
  assert.deepEqual([view(ROOT)!.zones, view(ROOT)!.ipv4Cidr], [[], "100.64.0.0/10"]);
});

test("who has logged in to the leaf itself uses that login", async (t) => {
  const own = await profileOf(leaf, "leaf.example.com", "bob");
  const { directory, view } = await open(t, await profileOf(root, "localhost", "alice"), own);
  await soon("both are seen", () => hasApps(view(LEAF)) && hasApps(view(ROOT)));
  await new Promise((resolve) => setTimeout(resolve, 200)); // The leaf's view through the root would come now.
  const views = directory.clusters().filter(({ cluster }) => cluster === LEAF);
  assert.deepEqual(
    views.map(({ profile, leaf: isLeaf }) => [profile, isLeaf]),
    [["leaf.example.com", undefined]],
  );
  await echoes(await dial(directory, view(LEAF)));
});

test("a leaf that is offline refuses at once, hides nothing else, and comes back", async (t) => {
  const { directory, view } = await open(t, await profileOf(root, "localhost", "alice"));
  await soon("the leaf is seen", () => hasApps(view(LEAF)));
  await echoes(await dial(directory, view(LEAF)));
  await leaf.proxy.close();
  const started = performance.now();
  await assert.rejects(dial(directory, view(LEAF)));
  assert.ok(performance.now() - started < 5_000, "refused at once");
  await echoes(await dial(directory, view(ROOT)));
  await using client = (await root.login("alice", PASSWORD)).client;
  const status = async () => {
    const { resource } = await client.call("resource.get", { kind: "remote_cluster", name: LEAF });
    return resource.kind === "remote_cluster" ? resource.status?.connection : undefined;
  };
  await soon("it is offline", async () => (await status()) === "offline");
  await leaf.startProxy();
  await soon("it is online", async () => (await status()) === "online");
  await soon("its agent is back", () =>
    dial(directory, view(LEAF))
      .then(echoes)
      .then(
        () => true,
        () => false,
      ),
  );
});

test("a leaf's proxy that takes the uuid of the root's agent is not offered the root's clients", async (t) => {
  const [agentId] = root.proxy.connectedAgents();
  const rogue = await leaf.auth.localIdentity("Proxy", agentId!);
  const { hostCas } = await root.auth.localIdentity("Proxy", agentId!);
  const taken: string[] = [];
  const tunnel = new AgentTunnel({
    clock: systemClock,
    counters: new Counters(),
    log: silentLogger,
    proxyAddress: root.proxyAddress,
    instance: systemRandom(8),
    credentials: () => ({ ...rogue, cluster: ROOT, hostCas }),
    onRoute: (socket, route) => {
      taken.push(route.app);
      socket.destroy();
    },
  });
  t.after(() => tunnel.close());
  await tunnel.ready;
  assert.deepEqual(root.proxy.connectedAgents(), [agentId], "it counts as no agent");
  const login = await root.login("alice", PASSWORD);
  await using _ = login.client;
  for (let i = 0; i < 8; i++) {
    const { session } = await root.appSession(login, "echo");
    const { link } = await root.dialLink(session);
    link.close("done");
  }
  assert.deepEqual(taken, []);
  // Nor may another host of the leaf connect there: only its proxies have business with the root's.
  const agent = await leaf.auth.localIdentity("App", agentId!);
  const refused = new AgentTunnel({
    clock: systemClock,
    counters: new Counters(),
    log: silentLogger,
    proxyAddress: root.proxyAddress,
    instance: systemRandom(8),
    credentials: () => ({ ...agent, cluster: ROOT, hostCas }),
    onRoute: (socket) => socket.destroy(),
  });
  await sleep(500);
  assert.equal(refused.connected, false);
  await refused.close();
});

test("without the trust, links are cut and the leaf is gone", async (t) => {
  const { directory, view } = await open(t, await profileOf(root, "localhost", "alice"));
  await soon("the leaf is seen", () => hasApps(view(LEAF)));
  const stream = await dial(directory, view(LEAF));
  const atRoot = await dial(directory, view(ROOT));
  await echoes(stream);
  await distrust();
  const started = performance.now();
  assert.notEqual(await stream.closed, "end");
  assert.ok(performance.now() - started < 1_000, "within a second");
  await assert.rejects(dial(directory, view(LEAF)));
  await echoes(atRoot);
  await using admin = await root.adminClient();
  await admin.call("resource.delete", { kind: "remote_cluster", name: LEAF });
  await soon("the leaf is gone", () => view(LEAF) === undefined);
  await trust();
  await soon("it is back", () => hasApps(view(LEAF)));
  await echoes(await dial(directory, view(LEAF)));
});
