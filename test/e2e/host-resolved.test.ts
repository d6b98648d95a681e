/** `sudo tsh vnet` beside a real systemd-resolved: split DNS over D-Bus, restarts, and no trace afterwards. */
import assert from "node:assert/strict";
import test from "node:test";
import { needs, ResolvedHost } from "../../src/testkit/mod.ts";
import {
  assertClients,
  clientAddress,
  HOST_NEEDS,
  LaptopVnet,
  statusOf,
  upstreamsOf,
  WEB_PORT,
  within,
} from "./host-vnet.ts";

const AGENT = "10.77.0.30";
const SERVER = "198.51.100.1";
/** From the return of systemd-resolved to VNet's names; from a changed server to its use. */
const BACK_MS = 1_000;
const FOLLOW_MS = 10_000;

const CHROMIUM = [
  ...["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  ...["--user-data-dir=/tmp/chromium", "--dump-dom"],
];

for (const nss of [true, false]) {
  const how = nss ? "asked by glibc itself" : "asked through its stub";
  test(`systemd-resolved, ${how}`, needs(...HOST_NEEDS, "resolved", "dbus-daemon", "chromium"), async (t) => {
    await using laptop = await LaptopVnet.prepare();
    const { alice, root, cluster } = laptop;
    await using resolved = await ResolvedHost.start(root, { server: SERVER, nss });
    const links = () => root.execOk(["resolvectl", "--no-pager", "dns"]);
    const before = [await laptop.snapshot(), await links()];
    const vnet = await laptop.start();

    await t.test("it is found and told, and no file is touched", async () => {
      assert.deepEqual((await statusOf(laptop)).resolver, { manager: "systemd-resolved" });
      assert.deepEqual(await upstreamsOf(laptop), [SERVER]);
      assert.match(await root.execOk(["readlink", "/etc/resolv.conf"]), /stub-resolv\.conf/);
      const link = await root.execOk(["resolvectl", "--no-pager", "status", "tsh-vnet"]);
      assert.match(link, /-DefaultRoute -LLMNR -mDNS -DNSOverTLS/);
      assert.match(link, /DNS Domain: ~company\.test ~teleport\.example\.com/);
    });

    await t.test("every client finds apps, and the rest of the world", () => assertClients(laptop));

    await t.test("Chromium opens an app, and waits for nothing", async (t) => {
      const since = performance.now();
      const page = await alice.execOk([...CHROMIUM, `http://web.company.test:${WEB_PORT}/`]);
      assert.match(page, new RegExp(`hello from web\\.company\\.test:${WEB_PORT}`));
      t.diagnostic(`shown after ${Math.round(performance.now() - since)} ms`);
    });

    await t.test("what VNet serves is never asked elsewhere, and the rest never of VNet", async () => {
      const asked = cluster.hosts.dnsQueries();
      assert.ok(!asked.some((query) => /^(tcp-app|web)\.company/.test(query)), `${asked}`);
      // Behaviour 4 of the reference: without OPT in the answers it would ask twice, and say so.
      assert.doesNotMatch(resolved.log, /degraded feature set/);
      assert.match(await root.execOk(["resolvectl", "query", "upstream.example.org"]), /203\.0\.113\.7/);
      assert.match(await root.execOk(["resolvectl", "query", "tcp-app.company.test"]), /link: tsh-vnet/);
    });

    await t.test("the address of an app leads back to its name", async () => {
      const address = (await root.execOk(["dig", "+short", "tcp-app.company.test", "A"])).trim();
      assert.equal(await root.execOk(["dig", "+short", "-x", address]), "tcp-app.company.test.\n");
    });

    await t.test("a wider domain of another link does not take VNet's names", async () => {
      await root.execOk(["resolvectl", "domain", "eth0", "~."]);
      await root.execOk(["resolvectl", "dns", "eth0", "198.51.100.77", SERVER]);
      assert.equal(await clientAddress(alice), AGENT);
      // As a VPN for everything has it: only its servers are asked for other names.
      await within(FOLLOW_MS, async () => (await upstreamsOf(laptop)).sort().join() === `${SERVER},198.51.100.77`);
      await root.execOk(["resolvectl", "revert", "eth0"]);
    });

    await t.test("after kill -9 of systemd-resolved names are found as soon as it is back", async () => {
      resolved.kill();
      await within(BACK_MS * 4, async () => resolved.running && (await root.exec(["resolvectl", "dns"])).code === 0);
      const ms = await within(BACK_MS, async () =>
        (await root.exec(["dig", "+short", "tcp-app.company.test"])).stdout.startsWith("100."),
      );
      t.diagnostic(`found again after ${Math.round(ms)} ms`);
      assert.equal(await clientAddress(alice), AGENT);
    });

    await t.test("settings that somebody takes away are put back", async () => {
      await root.execOk(["resolvectl", "revert", "tsh-vnet"]);
      const ms = await within(BACK_MS * 3, async () => (await links()).includes("(tsh-vnet): 100.64.0.2"));
      t.diagnostic(`back after ${Math.round(ms)} ms`);
      assert.equal(await clientAddress(alice), AGENT);
    });

    await t.test("changed servers of the host are followed; those for other domains only are left out", async () => {
      await root.execOk(["resolvectl", "dns", "eth0", "198.51.100.77"]);
      await within(FOLLOW_MS, async () => (await upstreamsOf(laptop)).includes("198.51.100.77"));
      await root.execOk(["resolvectl", "default-route", "eth0", "no"]);
      const ms = await within(FOLLOW_MS, async () => !(await upstreamsOf(laptop)).includes("198.51.100.77"));
      t.diagnostic(`followed after ${Math.round(ms)} ms`);
      await root.execOk(["resolvectl", "revert", "eth0"]);
    });

    await t.test("Ctrl-C leaves no trace, in systemd-resolved neither", async () => {
      assert.deepEqual(await vnet.stop("SIGINT"), { code: 0, signal: null });
      await laptop.restored(before[0]!, performance.now());
      assert.equal(await links(), before[1]);
      assert.equal((await root.exec(["dig", "+short", "tcp-app.company.test"])).stdout, "");
      assert.equal(await root.execOk(["dig", "+short", "upstream.example.org"]), "203.0.113.7\n");
    });
  });
}
