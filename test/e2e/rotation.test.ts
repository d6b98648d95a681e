/** `tctl auth rotate` over real processes: a connection through VNet lives through it, and an agent starts again after it. */
import assert from "node:assert/strict";
import test from "node:test";
import { sleep } from "../../src/base/mod.ts";
import { needs } from "../../src/testkit/mod.ts";
import { EXEC_NEEDS, LoopbackCluster } from "./loopback-cluster.ts";
import { pulseTo } from "./pulse.ts";

const PHASES = ["init", "update_clients", "update_servers", "standby"] as const;

test(
  "the host authority is replaced under a running VNet; the agent restarts with what it renewed",
  needs(...EXEC_NEEDS),
  async () => {
    await using cluster = await LoopbackCluster.start({ apart: true });
    await using vnet = cluster.spawn("tsh", ["vnet", "exec", "--", ...pulseTo("echo.company.test", 80)]);
    let pulses = 0;
    const pulse = async () => {
      vnet.write("\n");
      await vnet.waitFor(new RegExp(`^pulse ${++pulses}$`, "m"));
    };
    await pulse();
    const [former] = await pins(cluster);
    for (const phase of PHASES) {
      const said = await cluster.ok("tctl", ["auth", "rotate", "--type=host", "--manual", `--phase=${phase}`]);
      assert.equal(said, `Updated rotation phase to "${phase}". To check status use "tctl status"\n`);
      if (phase === "update_servers") await allRenewed(cluster);
      assert.equal((await pins(cluster)).length, phase === "standby" ? 1 : 2);
      await pulse();
    }
    assert.notDeepEqual(await pins(cluster), [former]);
    // The login of before, whose profile knows only the former key.
    assert.match(await cluster.ok("tsh", ["apps", "ls"]), /echo/);
    vnet.endInput();
    await vnet.waitFor(/^whole$/m);

    await cluster.agent?.stop();
    cluster.agent = await cluster.startAgent();
    await using again = cluster.spawn("tsh", ["vnet", "exec", "--", ...pulseTo("echo.company.test", 80)]);
    again.write("\n");
    await again.waitFor(/^pulse 1$/m);
    const events = JSON.parse(
      await cluster.ok("tctl", ["audit", "search", "--type=cert_authority.rotate", "--format=json"]),
    );
    assert.deepEqual(
      events.map((event: { code: string; phase: string }) => [event.code, event.phase]),
      PHASES.map((phase) => ["TCA001I", phase]),
    );
  },
);

async function pins(cluster: LoopbackCluster): Promise<string[]> {
  const status = await cluster.ok("tctl", ["status"]);
  return [...status.matchAll(/^CA pin\s+(sha256:[0-9a-f]{64})$/gm)].map(([, pin]) => pin!);
}

async function allRenewed(cluster: LoopbackCluster): Promise<void> {
  while (/^not renewed/m.test(await cluster.ok("tctl", ["status"]))) await sleep(50);
}
