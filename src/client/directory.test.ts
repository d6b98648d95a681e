import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { encodeUtf8, silentLogger } from "../base/mod.ts";
import { createCa, generateKeyPair, issueUserCert } from "../pki/mod.ts";
import { StreamUser, startTestCluster, type TestCluster } from "../testkit/mod.ts";
import { ClusterDirectory } from "./directory.ts";
import { AppNotFoundError, LoginExpiredError } from "./errors.ts";
import { loadLastView, saveLastView } from "./last-view.ts";
import { type Profile, ProfileStore } from "./profile.ts";

const NEVER = new AbortController().signal;

async function newStore(t: TestContext): Promise<ProfileStore> {
  const home = await mkdtemp(path.join(tmpdir(), "tsh-"));
  t.after(() => rm(home, { recursive: true }));
  return new ProfileStore(home);
}

async function open(t: TestContext, store: ProfileStore, loginWaitMs = 10_000) {
  const lines: string[] = [];
  const directory = await ClusterDirectory.open({
    store,
    log: silentLogger,
    tell: (line) => void lines.push(line),
    loginWaitMs,
  });
  t.after(() => directory.close());
  return { directory, lines };
}

/** A login of a cluster that is not there, or of one whose CA is not this one. */
async function fakeProfile(expires: number, more: Partial<Profile> = {}): Promise<Profile> {
  const cluster = more.cluster ?? "cluster.test";
  const now = Date.now() - 3_600_000;
  const ca = await createCa({ cluster, type: "user", now });
  const { keyPem, publicKeyPem } = await generateKeyPair();
  const user = { cluster, user: "alice", roles: ["access"], traits: {} };
  const certPem = await issueUserCert({ ca, publicKeyPem, now, expires, ...user });
  return {
    name: "localhost",
    proxyAddress: "127.0.0.1:1",
    user: "alice",
    cluster,
    trustGeneration: 1,
    certPem,
    keyPem,
    hostCas: [ca.certPem],
    ...more,
  };
}

async function realProfile(cluster: TestCluster): Promise<Profile> {
  const { client, certPem, keyPem } = await cluster.login("alice", "correct horse battery");
  await using _ = client;
  await using anonymous = cluster.anonymous();
  const { host_cas, cluster_name } = await anonymous.call("cluster.trust", {});
  const { proxyAddress } = cluster;
  const same = { name: "localhost", user: "alice", trustGeneration: 1, proxyAddress };
  return { ...same, cluster: cluster_name, certPem, keyPem, hostCas: host_cas };
}

/** Waits up to the 5 s within which a change must be in effect. */
async function soon(what: string, holds: () => boolean): Promise<void> {
  const until = performance.now() + 5_000;
  while (!holds()) {
    assert.ok(performance.now() < until, `not within 5 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function echoes(user: StreamUser): Promise<void> {
  const before = user.received.length;
  user.send(encodeUtf8("hello"));
  const lost = user.closed.then((how) => assert.fail(`closed: ${how}`));
  await Promise.race([user.until(before + 5), lost]);
  lost.catch(() => {}); // It may end later.
}

test("logins and logouts are followed while it runs; connections outlive all but a logout", async (t) => {
  await using cluster = await startTestCluster();
  await cluster.createUser("alice", "correct horse battery");
  const store = await newStore(t);
  const { directory, lines } = await open(t, store);
  assert.deepEqual(directory.clusters(), []);
  const apps = () => directory.clusters().flatMap((view) => view.apps.map((app) => app.name));
  const dial = () => {
    const [view] = directory.clusters();
    return directory.dial(view!, view!.apps[0]!, 80, NEVER).then((stream) => new StreamUser(stream));
  };

  const first = await realProfile(cluster);
  await store.save(first);
  await soon("the login appears", () => apps().includes("echo"));
  const early = await dial();
  await echoes(early);
  await soon("what is seen is kept", () => existsSync(store.lastViewFile(first)));
  await rm(store.lastViewFile(first));
  const again = await ClusterDirectory.open({ store: new ProfileStore(store.home), log: silentLogger, tell: () => {} });
  await again.ready();
  assert.equal(again.clusters()[0]!.apps.length, 1, "ready is when the apps are known");
  await soon("what is seen is kept", () => existsSync(store.lastViewFile(first)));
  await again.close();
  const kept = await stat(store.lastViewFile(first));
  assert.equal(kept.mode & 0o777, 0o600);

  await store.save(await fakeProfile(Date.now() - 1_000, { proxyAddress: first.proxyAddress }));
  await soon("the login is expired", () => directory.clusters()[0]?.loginExpired === true);
  assert.deepEqual(apps(), ["echo"], "answered as last seen");
  await echoes(early);
  const waiting = dial();
  for (let i = 0; i < 5; i++) directory.needsLogin(directory.clusters()[0]!);
  assert.deepEqual(lines, [
    `your login to localhost has expired; log in again with "tsh login --proxy=${first.proxyAddress} --user=alice"`,
  ]);
  await store.save(await realProfile(cluster));
  const late = await waiting;
  await echoes(late);
  await echoes(early);
  assert.equal(directory.clusters()[0]!.loginExpired, undefined);

  await store.save(await fakeProfile(Date.now() - 1_000));
  await soon("the login is expired again", () => directory.clusters()[0]?.loginExpired === true);
  const given = assert.rejects(dial(), AppNotFoundError);
  await store.remove("localhost");
  await given;
  assert.deepEqual(directory.clusters(), []);
  assert.notEqual(await early.closed, "end");
  assert.notEqual(await late.closed, "end");
});

test("clusters that are named come first, in the order of the setting", async (t) => {
  const store = await newStore(t);
  for (const name of ["a.test", "b.test", "c.test"]) {
    await store.save(await fakeProfile(Date.now() - 1_000, { name, cluster: `${name}-cluster` }));
  }
  const order = async (...names: string[]) => {
    const tell = () => {};
    await using directory = await ClusterDirectory.open({ store, log: silentLogger, tell, order: names });
    return directory
      .clusters()
      .map(({ profile }) => profile[0])
      .join("");
  };
  assert.equal(await order(), "cab", "the current login, then the others by name");
  assert.equal(await order("b.test-cluster", "nobody.test", "a.test"), "bac");
});

test("an expired login at the start: the list of the last time, and a refusal that says what to type", async (t) => {
  const store = await newStore(t);
  const profile = await fakeProfile(Date.now() - 1_000);
  const app = {
    name: "a",
    publicAddr: "a.company.test",
    protocol: "tcp",
    tcpPorts: [{ port: 1, endPort: 2 }],
  } as const;
  const view = {
    profile: "localhost",
    cluster: "cluster.test",
    proxyHosts: ["localhost", "alt.test"],
    zones: ["company.test"],
    ipv4Cidr: "10.9.0.0/16",
    apps: [app],
  };
  await store.save(profile);
  await saveLastView(store, profile, [view], silentLogger);
  const { directory, lines } = await open(t, store, 200);
  assert.deepEqual(directory.clusters(), [{ ...view, loginExpired: true }]);
  assert.equal(lines.length, 1);
  const started = performance.now();
  await assert.rejects(
    directory.dial(view, app, 1, NEVER),
    (error) =>
      error instanceof LoginExpiredError &&
      /has expired; log in again with "tsh login .*" \(waited 0\.2 s for it\)/.test(error.message),
  );
  assert.ok(performance.now() - started >= 190);
  assert.equal(lines.length, 1, "told once a minute");
  const abort = new AbortController();
  const given = assert.rejects(directory.dial(view, app, 1, abort.signal), /enough/);
  abort.abort(new Error("enough"));
  await given;
});

test("a login that expires meanwhile is noticed, and told", async (t) => {
  const store = await newStore(t);
  await store.save(await fakeProfile(Date.now() + 1_000));
  const { directory, lines } = await open(t, store);
  assert.deepEqual([directory.clusters()[0]!.loginExpired, lines], [undefined, []]);
  await soon("the expiry", () => directory.clusters()[0]!.loginExpired === true);
  assert.equal(lines.length, 1);
});

test("a login whose authority was replaced is over before its time, and told", async (t) => {
  const cluster = await startTestCluster();
  t.after(() => cluster[Symbol.asyncDispose]());
  await cluster.createUser("alice", "correct horse battery");
  const store = await newStore(t);
  await store.save(await realProfile(cluster));
  const { directory, lines } = await open(t, store);
  await directory.ready();
  await using admin = await cluster.adminClient();
  for (const phase of ["init", "update_clients", "update_servers"] as const) {
    await admin.call("authority.rotate", { type: "user", phase, mode: "manual" });
  }
  assert.equal(directory.clusters()[0]!.loginExpired, undefined, "both keys count");
  await admin.call("authority.rotate", { type: "user", phase: "standby" });
  await soon("Auth's word", () => directory.clusters()[0]!.loginExpired === true);
  assert.match(lines.join(), /log in again with "tsh login/);
  await store.save(await realProfile(cluster));
  await soon("the next login", () => directory.clusters()[0]!.loginExpired === undefined);
});

test("a damaged login is told, and hides no other", async (t) => {
  const store = await newStore(t);
  await store.save(await fakeProfile(Date.now() - 1_000, { name: "a.test", cluster: "a" }));
  await store.save(await fakeProfile(Date.now() - 1_000, { name: "b.test", cluster: "b" }));
  await writeFile(path.join(store.home, "a.test.yaml"), "web_proxy_addr: [");
  const { directory, lines } = await open(t, store);
  const names = () => directory.clusters().map(({ profile }) => profile);
  assert.deepEqual(names(), ["b.test"]);
  assert.ok(
    lines.some((line) => /a\.test\.yaml cannot be read/.test(line)),
    `${lines}`,
  );
  await writeFile(path.join(store.home, "b.test.yaml"), "half");
  await store.save(await fakeProfile(Date.now() - 1_000, { name: "c.test", cluster: "c" }));
  await soon("the third login", () => names().includes("c.test"));
  assert.deepEqual(names(), ["c.test", "b.test"], "what was known stays until it can be read again");
});

test("the successor of an expired login is found wherever it is kept", async (t) => {
  let profile = await fakeProfile(Date.now() - 1_000);
  class FileStore extends ProfileStore {
    override async names() {
      return [profile.name];
    }
    override async load() {
      return profile;
    }
  }
  const { directory } = await open(t, new FileStore((await newStore(t)).home));
  assert.equal(directory.clusters()[0]!.loginExpired, true);
  profile = await fakeProfile(Date.now() + 3_600_000);
  await soon("the successor", () => directory.clusters()[0]!.loginExpired === undefined);
});

test("what was last seen belongs to one user of one cluster; a damaged file is as none", async (t) => {
  const store = await newStore(t);
  const profile = await fakeProfile(Date.now() - 1_000);
  await store.save(profile);
  const view = { profile: "localhost", cluster: "cluster.test", proxyHosts: [], zones: [], ipv4Cidr: "", apps: [] };
  await saveLastView(store, profile, [view], silentLogger);
  assert.deepEqual(await loadLastView(store, profile), [view]);
  assert.equal(await loadLastView(store, { ...profile, user: "bob" }), undefined);
  assert.equal(await loadLastView(store, { ...profile, cluster: "other" }), undefined);
  await saveLastView(store, profile, [{ ...view, apps: [{ name: 1 }] }] as never, silentLogger);
  assert.equal(await loadLastView(store, profile), undefined);
  await store.remove("localhost");
  await saveLastView(store, profile, [view], silentLogger); // after a logout: nothing comes back
  assert.equal(await loadLastView(store, profile), undefined);
});
