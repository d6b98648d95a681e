/** A machine without a login: an identity file, VNet, audit commands and a lock that ends it all, by the command line. */
import assert from "node:assert/strict";
import test from "node:test";
import { needs } from "../../src/testkit/mod.ts";
import { connectionsTo, endOf, newsOf } from "./connections.ts";
import { EXEC_NEEDS, LoopbackCluster, USER } from "./loopback-cluster.ts";

test("an identity file serves VNet until a lock ends it", needs(...EXEC_NEEDS), async () => {
  await using cluster = await LoopbackCluster.start();
  const file = cluster.file("ci.identity");
  await cluster.ok("tctl", ["auth", "sign", `--user=${USER}`, "-o", file, "--ttl=10m"]);
  // No login of this home counts, and none is made.
  const env = { TELEPORT_HOME: cluster.file("empty-home") };
  const tsh = ["-i", file, `--proxy=localhost:${cluster.proxyPort}`];
  const command = connectionsTo("echo.company.test", 80);
  await using vnet = cluster.spawn("tsh", [...tsh, "vnet", "exec", "--", ...command], { env });
  vnet.write("\n");
  assert.equal((await newsOf(vnet, 1)).event, "echo", vnet.output);

  const locked = await cluster.ok("tctl", ["lock", `--user=${USER}`, "--message=key lost"]);
  assert.match(locked, /^Created a lock with name "[0-9a-f-]{36}"\.\n$/);
  assert.equal((await endOf(vnet, 1, 1_500)).event, "ECONNRESET");
  const { code, stderr } = await cluster.says("tsh", [...tsh, "apps", "ls"], { env });
  assert.equal(code, 1);
  assert.match(stderr, /lock targeting User:"alice@example\.com" is in force: key lost/);

  await audited(cluster);
  const name = /"([^"]+)"/.exec(locked)?.[1] ?? "";
  assert.equal(await cluster.ok("tctl", ["rm", `lock/${name}`]), `lock "${name}" has been deleted\n`);
  await cluster.ok("tsh", [...tsh, "apps", "ls"], { env });
});

async function audited(cluster: LoopbackCluster): Promise<void> {
  const search = ["audit", "search", "--type=client.disconnect", `--user=${USER}`, "--format=json"];
  let events: { code: string; reason: string }[] = [];
  for (let i = 0; events.length === 0 && i < 20; i++) events = JSON.parse(await cluster.ok("tctl", search));
  assert.equal(events[0]?.code, "T3006I");
  assert.match(events[0]?.reason ?? "", /in force: key lost/);
  assert.match(await cluster.ok("tctl", ["audit", "search", "--from=1h"]), /^Time +Code +Event +User +Details\n/);
  await using tail = cluster.spawn("tctl", ["audit", "tail", "-n", "1", "--format=json"]);
  await tail.waitFor(/^\{"event":/m, 10_000);
  await cluster.says("tsh", ["login", `--proxy=localhost:${cluster.proxyPort}`, "--user=nobody"], { input: "wrong\n" });
  await tail.waitFor(/"code":"T1000W".*"user":"nobody"/, 10_000);
  assert.match(await cluster.ok("tctl", ["audit", "verify"]), /^The audit log is intact: \d+ records in \d+ files/);
}
