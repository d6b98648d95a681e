/** `tsh vnet status` beside `sudo tsh vnet`: the user's, and nobody else's. */
import assert from "node:assert/strict";
import test from "node:test";
import { asUser, needs } from "../../src/testkit/mod.ts";
import type { VnetStatus } from "../../src/vnet/mod.ts";
import { clientAddress, HOST_NEEDS, LaptopVnet } from "./host-vnet.ts";

test("tsh vnet status on a host", needs(...HOST_NEEDS), async () => {
  await using laptop = await LaptopVnet.prepare();
  const { alice, root } = laptop;
  await root.execOk(["useradd", "--create-home", "bob"]);
  await laptop.start();
  await clientAddress(alice);
  const { vnets } = JSON.parse(await alice.execOk(["tsh", "vnet", "status", "--format=json"])) as {
    vnets: VnetStatus[];
  };
  const [status] = vnets as [VnetStatus];
  assert.deepEqual([vnets.length, status.kind, status.clusters[0]?.login], [1, "host", "valid"]);
  assert.ok(status.upstreams.length > 0, "the host's own servers, not VNet's");
  assert.ok(!status.upstreams.some(({ address }) => status.addresses.dns.includes(address)));
  assert.ok(status.apps.some(({ total, to_app }) => total > 0 && to_app > 0));
  for (const other of [asUser(root, "bob"), root]) {
    const { code, stderr } = await other.exec(["tsh", "vnet", "status"]);
    assert.deepEqual([code, /^VNet is not running/.test(stderr)], [1, true], stderr);
  }
});
