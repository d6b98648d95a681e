import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, type TestContext, test } from "node:test";
import type { RotationPhase } from "../api/mod.ts";
import { silentLogger, sleep } from "../base/mod.ts";
import { startTestCluster, type TestCluster, Witness } from "../testkit/mod.ts";
import { ownSessions } from "./app-sessions.ts";
import { connectCluster } from "./cluster.ts";
import { ClusterAccess } from "./cluster-access.ts";
import { ClusterDirectory } from "./directory.ts";
import { type Profile, ProfileStore } from "./profile.ts";

const PASSWORD = "correct horse battery";
const NEVER = new AbortController().signal;
const PHASES: readonly RotationPhase[] = ["init", "update_clients", "update_servers", "standby"];

let cluster: TestCluster;
before(async () => {
  cluster = await startTestCluster();
  await cluster.createUser("alice", PASSWORD);
});
after(() => cluster[Symbol.asyncDispose]());

async function login(): Promise<Profile> {
  const { client, certPem, keyPem } = await cluster.login("alice", PASSWORD);
  await using _ = client;
  const { host_cas, cluster_name } = await client.call("cluster.trust", {});
  const same = { name: "localhost", user: "alice", trustGeneration: 1, proxyAddress: cluster.proxyAddress };
  return { ...same, cluster: cluster_name, certPem, keyPem, hostCas: host_cas };
}

/** Streams to the echo as VNet has them. */
async function streams(t: TestContext): Promise<Witness[]> {
  const home = await mkdtemp(path.join(tmpdir(), "tsh-"));
  const store = new ProfileStore(home);
  await store.save(await login());
  const directory = await ClusterDirectory.open({ store, log: silentLogger, tell: () => {} });
  t.after(async () => {
    await directory.close();
    await rm(home, { recursive: true });
  });
  await directory.ready();
  const [view] = directory.clusters();
  const echo = view!.apps.find(({ name }) => name === "echo")!;
  return Promise.all(Array.from({ length: 4 }, async () => new Witness(await directory.dial(view!, echo, 0, NEVER))));
}

test("a former login's sessions are renewed while its connections go on", async () => {
  const profile = await login();
  const rpc = connectCluster(profile, silentLogger);
  const sessions = ownSessions(rpc);
  const access = new ClusterAccess({ profile, rpc, sessions, log: silentLogger, changed: () => {} });
  const app = { name: "echo", publicAddr: "echo.localhost" };
  const witness = new Witness(await access.connections.dial(app, 0, NEVER));
  await witness.exchange();
  await access.retire();
  const attached = cluster.app.counters.get("link.attached");
  access.connections.renewSessions();
  await until("a new carrier", () => cluster.app.counters.get("link.attached") > attached);
  await witness.finish();
  await access.close();
});

async function step(type: "host" | "user", phase: RotationPhase): Promise<void> {
  await using admin = await cluster.adminClient();
  await admin.call("authority.rotate", { type, phase, mode: "manual" });
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!holds()) {
    assert.ok(performance.now() < deadline, what);
    await sleep(20);
  }
}

for (const type of ["host", "user"] as const) {
  test(`streams go on over the rotation of the ${type} authority, on carriers with the present certificates`, async (t) => {
    const { counters } = cluster.app;
    const witnesses = await streams(t);
    for (const phase of PHASES) {
      const attached = counters.get("link.attached");
      await step(type, phase);
      const keysChange = phase !== "update_servers";
      // After the last one of the user authority the login of before gets nothing more.
      const last = type === "user" && phase === "standby";
      if (keysChange && !last)
        await until(`a new carrier after ${phase}`, () => counters.get("link.attached") > attached);
      await Promise.all(witnesses.map((witness) => witness.exchange()));
    }
    await sleep(1_500); // The agent has looked for carriers of the former authority.
    await Promise.all(witnesses.map((witness) => witness.finish()));
    assert.equal(counters.get("link.outdated-carrier"), 0);
  });
}
