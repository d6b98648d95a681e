import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { RotationPhase } from "../api/mod.ts";
import { isMalformed, sleep } from "../base/mod.ts";
import { createCsr, identityOf, keyPairOf, verifyChain } from "../pki/mod.ts";
import { startTestCluster, type TestCluster, type TestLogin, Witness } from "../testkit/mod.ts";
import type { AppLink } from "../tunnel/mod.ts";

const PASSWORD = "correct horse battery staple";

let cluster: TestCluster;
let alice: TestLogin;
before(async () => {
  cluster = await startTestCluster();
  await cluster.createUser("alice", PASSWORD);
  alice = await cluster.login("alice", PASSWORD);
});
after(async () => {
  await alice?.client.close();
  await cluster?.[Symbol.asyncDispose]();
});

async function step(type: "host" | "user", phase: RotationPhase): Promise<void> {
  await using admin = await cluster.adminClient();
  await admin.call("authority.rotate", { type, phase, mode: "manual" });
}

async function signing(type: "host" | "user"): Promise<string[]> {
  await using admin = await cluster.adminClient();
  const { resource } = await admin.call("resource.get", {
    kind: "cert_authority",
    name: `${type}/${cluster.auth.cluster}`,
  });
  assert.ok(resource.kind === "cert_authority");
  return resource.spec.active_keys.map(({ cert }) => cert);
}

/** Proxy and agent have certificates by the key that signs now. */
async function hostsRenewed(): Promise<void> {
  const active = await signing("host");
  const byIt = () => cluster.renewed.filter(({ certPem }) => !isMalformed(verifyChain(certPem, active, Date.now())));
  while (new Set(byIt().map(({ certPem }) => certPem)).size < 2) await sleep(10);
  while (cluster.proxy.connectedAgents().length !== 1) await sleep(10);
}

/** The agent trusts the user authority's present key alone. */
async function agentFollowed(): Promise<void> {
  const active = await signing("user");
  const isAgent = (certPem: string) => {
    const identity = identityOf(certPem);
    return "kind" in identity && identity.kind === "host" && identity.roles.includes("App");
  };
  while (!cluster.renewed.some(({ certPem, userCas }) => isAgent(certPem) && userCas.join() === active.join())) {
    await sleep(10);
  }
}

test("open streams survive both rotations; proxy and agent renew without a restart, and nothing else notices", async () => {
  const { session, answer } = await cluster.appSession(alice, "echo");
  let present = session;
  const { link, replaceCarriers } = await cluster.dialLink(session, {
    resume: true,
    present: async () => ({ session: present, proxies: [cluster.proxyAddress] }),
  });
  const witness = new Witness(await link.open(0));
  await witness.exchange();
  for (const phase of ["init", "update_clients", "update_servers", "standby"] as const) {
    await step("host", phase);
    if (phase === "update_servers") await hostsRenewed();
    await step("user", phase);
    if (phase === "update_clients") {
      const csr = await createCsr(keyPairOf(session.keyPem));
      const renewed = await alice.client.call("app_session.renew", { session_id: session.sessionId, csr });
      present = { ...session, certPem: renewed.cert, hostCas: renewed.host_cas };
      replaceCarriers();
    }
    if (phase === "standby") await agentFollowed();
    await witness.exchange();
    // The session of before, with the trust of before: the way to the agent is vouched for.
    const again = cluster.dialLink({ ...session, hostCas: answer.host_cas });
    if (phase === "standby")
      await assert.rejects(again, "a user certificate of the former authority opens nothing new");
    else await reaches(await again);
  }
  await assert.rejects(alice.client.call("resource.list", { kind: "app_server" }), /log in again/);
  const later = await cluster.login("alice", PASSWORD);
  const fresh = await cluster.dialLink((await cluster.appSession(later, "echo")).session);
  await reaches(fresh);
  await later.client.close();
  await witness.finish();
  assert.equal(cluster.app.counters.get("link.outdated-carrier"), 0, "the present ones were there in time");
  link.close("done");
});

async function reaches({ link }: AppLink): Promise<void> {
  await new Witness(await link.open(0)).finish();
  link.close("done");
}
