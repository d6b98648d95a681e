/** How `tsh vnet` is started, how it ends, and that nothing of it stays on the host. */
import assert from "node:assert/strict";
import test from "node:test";
import { type BackgroundProcess, needs } from "../../src/testkit/mod.ts";
import { clientAddress, HOST_NEEDS, LaptopVnet } from "./host-vnet.ts";

const AGENT = "10.77.0.30";
type Signal = NodeJS.Signals | null;

test("the ends of tsh vnet", needs(...HOST_NEEDS, "script"), async (t) => {
  await using laptop = await LaptopVnet.prepare();
  const { alice } = laptop;
  const before = await laptop.snapshot();

  /** Starts VNet, ends it by `end`, and sees the host as it was within a second. */
  const ends = (name: string, end: (vnet: BackgroundProcess) => unknown, code: number | null, signal: Signal = null) =>
    t.test(name, async (t) => {
      const vnet = await laptop.start();
      assert.notEqual(await laptop.snapshot(), before);
      await end(vnet);
      t.diagnostic(`restored within ${await laptop.restored(before, performance.now())} ms`);
      assert.deepEqual(await vnet.exited, { code, signal });
      assert.deepEqual(await laptop.running(), []);
    });

  await t.test("typed by alice in a terminal it asks sudo itself, and Ctrl-C ends it", async (t) => {
    const terminal = alice.spawn("terminal", ["script", "-qec", "tsh vnet", "/dev/null"]);
    await terminal.waitFor(/^VNet is ready\.\s*$/m);
    assert.equal(await clientAddress(alice), AGENT);
    terminal.write("\x03");
    const since = performance.now();
    assert.deepEqual(await terminal.exited, { code: 0, signal: null });
    t.diagnostic(`restored within ${await laptop.restored(before, since)} ms`);
    assert.doesNotMatch(terminal.output, /ERROR/);
  });

  await ends("SIGTERM to sudo", (vnet) => vnet.signal("SIGTERM"), 0);
  await ends("SIGTERM to the launcher", async () => laptop.kill("TERM", (await laptop.processes()).launcher), 0);
  await ends("SIGHUP to the launcher", async () => laptop.kill("HUP", (await laptop.processes()).launcher), 0);
  await ends("kill -9 of the user process", async () => laptop.kill("KILL", (await laptop.processes()).user), 1);
  await ends(
    "kill -9 of the launcher",
    async () => laptop.kill("KILL", (await laptop.processes()).launcher),
    null,
    "SIGKILL",
  );

  await t.test("Ctrl-C while the cluster does not answer: the host does not wait for goodbyes", async (t) => {
    const vnet = await laptop.start();
    assert.equal(await clientAddress(alice), AGENT);
    const { proxy } = laptop.cluster.hosts;
    const silence = ["blackhole", `${laptop.root.address}/32`];
    await proxy.execOk(["ip", "route", "add", ...silence]);
    try {
      vnet.signal("SIGINT");
      const since = performance.now();
      t.diagnostic(`restored within ${await laptop.restored(before, since)} ms`);
      await vnet.exited;
      t.diagnostic(`ended after ${Math.round(performance.now() - since)} ms`);
    } finally {
      await proxy.execOk(["ip", "route", "del", ...silence]);
    }
    assert.deepEqual(await laptop.running(), []);
  });
});
