/** Two clusters of real processes: the apps of a leaf, by their names, through the login to its root. */
import assert from "node:assert/strict";
import test from "node:test";
import { sleep } from "../../src/base/mod.ts";
import { needs } from "../../src/testkit/mod.ts";
import { connectionsTo, endOf, newsOf } from "./connections.ts";
import { EXEC_NEEDS, LoopbackCluster } from "./loopback-cluster.ts";

const LEAF = "leaf.example.com";
const WITHIN_MS = 15_000;

test("a leaf cluster", needs(...EXEC_NEEDS), async (t) => {
  await using root = await LoopbackCluster.start();
  await using leaf = await LoopbackCluster.start({ clusterName: LEAF, zone: "leaf.test" });

  await t.test("joins by what tctl says to type", async () => {
    const said = await root.ok("tctl", ["tokens", "add", "--type=trusted_cluster"]);
    const yaml = said.slice(said.indexOf("  kind: trusted_cluster")).replaceAll(/^ {2}/gm, "");
    leaf.file("root.yaml", yaml);
    const created = await leaf.ok("tctl", ["create", "root.yaml"]);
    assert.equal(created, 'trusted_cluster "teleport.example.com" has been created\n');
    assert.doesNotMatch(await leaf.ok("tctl", ["get", "trusted_cluster"]), /token:/);
    await becomes(root, "online");
    const [header, , ...rows] = (await root.ok("tsh", ["clusters"])).trimEnd().split("\n");
    assert.match(header!, /^Cluster Name +Status +Cluster Type +Labels +Selected/);
    assert.deepEqual(
      rows.map((row) => row.trim().split(/\s+/)),
      [
        ["teleport.example.com", "online", "root", "*"],
        [LEAF, "online", "leaf"],
      ],
    );
    assert.match(await root.ok("tsh", ["apps", "ls", `--cluster=${LEAF}`]), /echo\.leaf\.test/);
  });

  const there = root.spawn("tsh", ["vnet", "exec", "--", ...connectionsTo("echo.leaf.test", 80)]);
  const here = root.spawn("tsh", ["vnet", "exec", "--", ...connectionsTo("echo.company.test", 80)]);

  await t.test("its app answers by name", async () => {
    there.write("\n");
    assert.equal((await newsOf(there, 1)).event, "echo");
  });

  await t.test("while it is offline its names are refused at once, others are not", async () => {
    await leaf.teleport.stop("SIGKILL");
    assert.equal((await endOf(there, 1, WITHIN_MS)).event, "ECONNRESET");
    there.write("\n");
    const refused = await newsOf(there, 2);
    assert.equal(refused.event, "ECONNREFUSED");
    assert.ok(refused.after < 5_000, `${refused.after} ms`);
    here.write("\n");
    assert.equal((await newsOf(here, 1)).event, "echo");
    await becomes(root, "offline");
    await leaf.startTeleport();
    await becomes(root, "online");
    there.write("\n");
    assert.equal((await newsOf(there, 3)).event, "echo");
  });

  await t.test("without the trust its links are cut", async () => {
    await leaf.ok("tctl", ["rm", "trusted_cluster/teleport.example.com"]);
    assert.equal((await endOf(there, 3, 1_000)).event, "ECONNRESET");
    await root.ok("tctl", ["rm", `rc/${LEAF}`]);
    assert.doesNotMatch(await root.ok("tsh", ["clusters"]), new RegExp(LEAF));
  });
});

async function becomes(root: LoopbackCluster, status: string): Promise<void> {
  const began = performance.now();
  for (;;) {
    const clusters = JSON.parse(await root.ok("tsh", ["clusters", "--format=json"])) as Record<string, unknown>[];
    if (clusters.find(({ cluster_name }) => cluster_name === LEAF)?.status === status) return;
    assert.ok(performance.now() - began < WITHIN_MS, `not ${status} within 15 s`);
    await sleep(50);
  }
}
