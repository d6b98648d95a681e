/** What another terminal sees of a running VNet, and what stays from one run to the next. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync } from "node:fs";
import test from "node:test";
import { needs } from "../../src/testkit/mod.ts";
import type { VnetStatus } from "../../src/vnet/mod.ts";
import { connectionsTo, newsOf } from "./connections.ts";
import { EXEC_NEEDS, LoopbackCluster } from "./loopback-cluster.ts";

const NAME = "echo.company.test";

test("tsh vnet status and explain from another terminal", needs(...EXEC_NEEDS), async (t) => {
  const dead = { name: "dead", uri: "tcp://127.0.0.1:1" };
  await using cluster = await LoopbackCluster.start({ apps: [dead] });
  const runtimeDir = `${cluster.directory}/run`;
  mkdirSync(runtimeDir, { mode: 0o700 });
  const env = { XDG_RUNTIME_DIR: runtimeDir };
  const says = (...args: string[]) => cluster.says("tsh", ["vnet", ...args], { env });

  await t.test("without a VNet: a line that says so; explain asks the cluster itself", async () => {
    const none = await says("status", "--format=json");
    assert.deepEqual([none.code, JSON.parse(none.stdout)], [1, { vnets: [] }]);
    assert.match(none.stderr, /^VNet is not running; start it with "tsh vnet"/);
    const explained = await says("explain", `${NAME}:80`);
    assert.deepEqual([explained.code, explained.stderr], [0, "VNet is not running: this is what it would do.\n"]);
    assert.match(explained.stdout, /^ok +agent .*\nok +target +the app's own server accepted a connection\n/m);
    const unasked = await says("explain", "--no-connect", NAME);
    assert.match(unasked.stdout, /was not tried\.\n$/);
  });

  await t.test("with one: its addresses, clusters, and connections with their octets", async () => {
    const flags = ["--diag-addr=127.0.0.1:0", "--", ...connectionsTo(NAME, 80)];
    const child = cluster.spawn("tsh", ["vnet", "exec", ...flags], { env });
    const [, metricsAt] = await child.waitFor(/^Metrics are at http:\/\/(\S+)\/metrics$/m);
    child.write("\n");
    assert.equal((await newsOf(child, 1)).event, "echo");
    const { vnets } = JSON.parse((await says("status", "--format=json")).stdout) as { vnets: VnetStatus[] };
    assert.equal(vnets.length, 1);
    const [status] = vnets as [VnetStatus];
    assert.deepEqual([status.version, status.kind, status.command?.at(-1)], [1, "exec", "80"]);
    assert.deepEqual(
      status.clusters.map(({ login, zones, apps }) => [login, zones, apps.map(({ name }) => name)]),
      [["valid", ["company.test"], ["dead", "echo"]]],
    );
    const [app] = status.apps;
    assert.deepEqual([app?.host, app?.open, app?.to_app, app?.from_app], [NAME, 1, 6, 6]);
    assert.deepEqual([status.connections.length, status.connections[0]?.port], [1, 80]);
    assert.equal(status.connections[0]?.program?.name, "node");
    assert.equal(status.connections[0]?.program?.pid, status.command_pid);
    const { stdout } = await says("status");
    assert.match(stdout, /^VNet for ".*" +pid \d+, running for \d+s$/m);
    assert.match(stdout, /^node \(\d+\) +echo\.company\.test:80 +\d+s +6 B +6 B$/m);
    assert.match(stdout, /^echo\.company\.test +100\.\d+\.\d+\.\d+ +1 +1 +0 +6 B +6 B$/m);

    const diag = await says("diag", "--format=json");
    const [diagnosis] = (JSON.parse(diag.stdout) as { diagnoses: { findings: { check: string; ok: boolean }[] }[] })
      .diagnoses;
    assert.deepEqual(diagnosis?.findings.find(({ check }) => check === "login")?.ok, true);
    const metrics = await (await fetch(`http://${metricsAt}/metrics`)).text();
    assert.match(metrics, /^teleport_vnet_connections 1$/m);
    assert.match(metrics, /^teleport_vnet_to_apps_octets_total 6$/m);
    assert.match(metrics, /^teleport_events_total\{component="vnet",event="dns\.answered"\} [1-9]/m);

    const served = await says("explain", NAME);
    assert.match(served.stdout, new RegExp(`^ok +address +${status.names[0]!.v4}, `, "m"));
    assert.deepEqual([served.code, served.stderr], [0, ""]);
    const stopped = await says("explain", `other.company.test`);
    assert.equal(stopped.code, 1);
    assert.match(stopped.stdout, /^stop +app +no app that you may reach[\s\S]*other\.company\.test stops there\.\n$/m);
    assert.equal((await says("explain", "localhost")).code, 1);
    const dead = await says("explain", "dead.company.test");
    assert.equal(dead.code, 1);
    assert.match(
      dead.stdout,
      /^ok +role +your roles \(access, editor\)[\s\S]*^ok +agent [\s\S]*^stop target .*refused the connection/m,
    );
    child.signal("SIGKILL");
    await child.exited;
    assert.equal((await says("status")).code, 1);
    assert.deepEqual(readdirSync(`${runtimeDir}/tsh-vnet`), [], "what a killed one left is removed");
  });

  await t.test("the next run gives the name the same addresses", async () => {
    const lookup = () => cluster.ok("tsh", ["vnet", "exec", "--", "getent", "ahosts", NAME], { env });
    const first = await lookup();
    assert.match(first, /^100\./m);
    assert.equal(await lookup(), first);
    assert.deepEqual(readdirSync(runtimeDir), []);
  });
});
