/** Logins that expire, come and go while VNet runs. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import test from "node:test";
import { sleep } from "../../src/base/mod.ts";
import { createCa, issueUserCert, keyPairOf } from "../../src/pki/mod.ts";
import { needs } from "../../src/testkit/mod.ts";
import type { VnetStatus } from "../../src/vnet/mod.ts";
import { connectionsTo, endOf, newsOf } from "./connections.ts";
import { EXEC_NEEDS, LoopbackCluster, USER } from "./loopback-cluster.ts";

/** A login or logout is in effect after so long. */
const LIVE_MS = 5_000;

test("logins while VNet runs", needs(...EXEC_NEEDS), async (t) => {
  await using cluster = await LoopbackCluster.start();
  const child = cluster.spawn("tsh", ["vnet", "exec", "--", ...connectionsTo("echo.company.test", 80)]);
  child.write("\n");
  assert.equal((await newsOf(child, 1)).event, "echo");

  await t.test("one that expires is told; its apps' names stay; a connection waits for the next login", async () => {
    await expireLogin(cluster);
    const line = `your login to localhost has expired; log in again with "tsh login --proxy=localhost:${cluster.proxyPort} --user=${USER}"`;
    await child.waitFor(new RegExp(`^${line.replaceAll(".", "\\.")}$`, "m"), LIVE_MS);
    child.write("\n");
    await sleep(500);
    assert.doesNotMatch(child.output, /"id":2/, "neither refused nor sent elsewhere");
    assert.equal((await cluster.login()).code, 0);
    assert.equal((await newsOf(child, 2, LIVE_MS)).event, "echo");
    assert.equal(child.output.split("has expired").length, 2, "told once a minute");
    assert.doesNotMatch(child.output, /"id":1,"event":"(?!echo)/, "what was open stays open");
  });

  await t.test("a logout ends its connections; its names are everybody's again", async () => {
    await cluster.ok("tsh", ["logout"]);
    for (const id of [1, 2]) assert.equal((await endOf(child, id, LIVE_MS)).event, "ECONNRESET");
    await seesApps(cluster, 0);
    child.write("\n");
    assert.match((await newsOf(child, 3)).event, /^(EAI_AGAIN|ENOTFOUND)$/);
  });

  await t.test("a login brings them back", async () => {
    assert.equal((await cluster.login()).code, 0);
    await seesApps(cluster, 1);
    child.write("\n");
    assert.equal((await newsOf(child, 4)).event, "echo");
  });
});

/** Asks VNet itself: a lookup that comes too early would wait for the servers behind it. */
async function seesApps(cluster: LoopbackCluster, count: number): Promise<void> {
  const began = performance.now();
  for (;;) {
    const { vnets } = JSON.parse(await cluster.ok("tsh", ["vnet", "status", "--format=json"])) as {
      vnets: VnetStatus[];
    };
    if (vnets[0]?.clusters.flatMap(({ apps }) => apps).length === count) return;
    assert.ok(performance.now() - began < LIVE_MS, `not ${count} apps within 5 s`);
  }
}

/** As time would: the same login with a certificate whose hour is over. Who signed it is not looked at. */
async function expireLogin(cluster: LoopbackCluster): Promise<void> {
  const home = `${cluster.directory}/tsh`;
  const certFile = `${home}/keys/localhost/${USER}.crt`;
  const { publicKeyPem } = keyPairOf(readFileSync(certFile.replace(/crt$/, "key"), "utf8"));
  const now = Date.now() - 7_200_000;
  const identity = { cluster: "teleport.example.com", user: USER, roles: ["access", "editor"], traits: {} };
  const ca = await createCa({ cluster: identity.cluster, type: "user", now });
  writeFileSync(certFile, await issueUserCert({ ca, publicKeyPem, now, expires: now + 3_600_000, ...identity }));
  const profile = `${home}/localhost.yaml`;
  writeFileSync(profile, readFileSync(profile));
}
