/** `tsh vnet exec`: the rest of the network, what forbids it, and a command that is not there. */
import assert from "node:assert/strict";
import test from "node:test";
import { needs } from "../../src/testkit/mod.ts";
import { EXEC_NEEDS, LoopbackCluster } from "./loopback-cluster.ts";

/** Stands for this machine's loopback inside. */
const LOOPBACK = "192.0.2.1";

const zoneWith = (range: string) => `kind: vnet_config
version: v1
metadata:
  name: vnet-config
spec:
  ipv4_cidr_range: ${range}
  custom_dns_zones:
  - suffix: company.test
`;

test("tsh vnet exec and the network around it", needs(...EXEC_NEEDS, "nc"), async (t) => {
  await using cluster = await LoopbackCluster.start();
  const says = (...args: string[]) => cluster.says("tsh", ["vnet", "exec", ...args]);
  const sh = (script: string, ...flags: string[]) => says(...flags, "--", "sh", "-c", script);

  await t.test("other addresses are dialled from this machine; the host's loopback only by its address", async () => {
    const script = `
      echo outside | nc -N ${LOOPBACK} ${cluster.echoPort}
      nc -z -w 5 ${LOOPBACK} 1 || echo refused
      nc -z -w 5 127.0.0.1 ${cluster.echoPort} || echo not the loopback
      echo app | nc -N echo.company.test 80`;
    const { code, stdout } = await sh(script, `--map-host-loopback=${LOOPBACK}`);
    assert.deepEqual([code, stdout.split("\n")], [0, ["outside", "refused", "not the loopback", "app", ""]]);
  });

  await t.test("--isolated: VNet's apps only, the rest is refused at once", async () => {
    const script = `
      start=$(date +%s%N)
      nc -z -w 5 ${LOOPBACK} ${cluster.echoPort} || echo no way
      test $(( ($(date +%s%N) - start) / 1000000 )) -lt 2000 && echo fast
      echo app | nc -N echo.company.test 80`;
    const { code, stdout } = await sh(script, "--isolated");
    assert.deepEqual([code, stdout.split("\n")], [0, ["no way", "fast", "app", ""]]);
  });

  await t.test("a range that comes while the command runs leads to VNet too", async () => {
    const script = `
      getent ahostsv4 echo.company.test | head -n 1 | cut -d. -f1; read line
      echo new range | nc -N echo.company.test 80; getent ahostsv4 later.company.test | cut -d. -f1 | sort -u`;
    const child = cluster.spawn("tsh", ["vnet", "exec", "--isolated", "--", "sh", "-c", script]);
    await child.waitFor(/^100$/m);
    cluster.file("range.yaml", zoneWith("10.88.0.0/16"));
    await cluster.ok("tctl", ["create", "-f", "range.yaml"]);
    await cluster.writeAgentConfig("later", [{ name: "later", uri: `tcp://127.0.0.1:${cluster.echoPort}` }]);
    await cluster.startAgent("later.yaml");
    const deadline = performance.now() + 20_000;
    let explained = "";
    while (!/^ok +address .*10\.88\./m.test(explained) && performance.now() < deadline) {
      explained = (await cluster.says("tsh", ["vnet", "explain", "later.company.test"])).stdout;
    }
    child.write("\n");
    await child.waitFor(/^new range\n10$/m);
    await child.exited;
  });

  await t.test("a command that is not there, or no program, is told in plain words", async () => {
    assert.deepEqual(await says("--", "nosuchprogram"), {
      code: 127,
      stdout: "",
      stderr: "ERROR: the command nosuchprogram is not there: no directory of PATH has it\n",
    });
    assert.deepEqual(await says("--", "./zone.yaml"), {
      code: 126,
      stdout: "",
      stderr:
        'ERROR: the command ./zone.yaml cannot be run: ./zone.yaml is not executable for you ("chmod +x" makes it so)\n',
    });
    assert.equal((await says("--", "sh", "-c", "exit 42")).code, 42);
  });
});
