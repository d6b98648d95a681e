/** `tsh vnet status` beside `sudo tsh vnet`: the user's, and nobody else's. */
import assert from "node:assert/strict";
import test from "node:test";
import { asUser, needs } from "../../src/testkit/mod.ts";
import type { DiagFinding, VnetStatus } from "../../src/vnet/mod.ts";
import { clientAddress, HOST_NEEDS, LaptopVnet } from "./host-vnet.ts";

const DIAG_ADDR = "127.0.0.1:9155";

test("tsh vnet status on a host", needs(...HOST_NEEDS, "curl"), async () => {
  await using laptop = await LaptopVnet.prepare();
  const { alice, root } = laptop;
  await root.execOk(["useradd", "--create-home", "bob"]);
  await laptop.start(["sudo", "tsh", "vnet", `--diag-addr=${DIAG_ADDR}`]);
  await clientAddress(alice);
  const { vnets } = JSON.parse(await alice.execOk(["tsh", "vnet", "status", "--format=json"])) as {
    vnets: VnetStatus[];
  };
  const [status] = vnets as [VnetStatus];
  assert.deepEqual([vnets.length, status.kind, status.clusters[0]?.login], [1, "host", "valid"]);
  assert.ok(status.upstreams.length > 0, "the host's own servers, not VNet's");
  assert.ok(!status.upstreams.some(({ address }) => status.addresses.dns.includes(address)));
  assert.ok(status.apps.some(({ total, to_app }) => total > 0 && to_app > 0));
  const ready = await alice.execOk(["curl", "-sf", `http://${DIAG_ADDR}/readyz`]);
  assert.deepEqual(JSON.parse(ready), { status: "ok" });
  const metrics = await alice.execOk(["curl", "-sf", `http://${DIAG_ADDR}/metrics`]);
  assert.match(metrics, /^teleport_vnet_connections_total [1-9]/m);
  assert.match(metrics, /^teleport_events_total\{component="vnet",event="vnet\.probes"\} [1-9]/m);

  const explained = await alice.execOk(["tsh", "vnet", "explain", "tcp-app.company.test:5432"]);
  assert.match(explained, /^ok route +the kernel sends [\d.]+ to [\w-]+$/m);
  assert.match(explained, /^ok target +the app's own server accepted a connection$/m);

  const diagnosed = async () => {
    const { code, stdout } = await alice.exec(["tsh", "vnet", "diag", "--format=json"]);
    const { diagnoses } = JSON.parse(stdout) as { diagnoses: { findings: DiagFinding[] }[] };
    return { code, findings: diagnoses[0]!.findings };
  };
  const good = await diagnosed();
  assert.deepEqual(
    good.findings.filter(({ ok }) => !ok),
    [],
  );
  const [v4, v6] = status.addresses.dns;
  const subjects = good.findings.map(({ check, subject }) => `${check} ${subject}`);
  for (const way of [v4, v6].flatMap((server) => [`${server} udp`, `${server} tcp`])) {
    assert.ok(subjects.includes(`dns-server ${way}`), way);
  }
  assert.deepEqual([good.code, subjects.includes("zone company.test")], [0, true]);

  await root.execOk(["ip", "link", "set", status.device.name, "down"]);
  const broken = await diagnosed();
  assert.equal(broken.code, 1);
  assert.match(broken.findings.find(({ check }) => check === "device")!.advice!, /ip link set [\w-]+ up/);
  await root.execOk(["ip", "link", "set", status.device.name, "up"]);

  for (const other of [asUser(root, "bob"), root]) {
    const { code, stderr } = await other.exec(["tsh", "vnet", "status"]);
    assert.deepEqual([code, /^VNet is not running/.test(stderr)], [1, true], stderr);
  }
});
