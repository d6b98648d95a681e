/** `sudo tsh vnet` on hosts of all kinds: ranges in use, one family missing or broken, forwarding, nothing to write to. */
import assert from "node:assert/strict";
import test from "node:test";
import { needs } from "../../src/testkit/mod.ts";
import { assertClients, clientAddress, HOST_NEEDS, LaptopVnet, PSQL, statusOf } from "./host-vnet.ts";

const AGENT = "10.77.0.30";
const VNET = ["sudo", "tsh", "vnet"];
/** A refusal by silence is no faster than the client's patience. */
const BLACK_HOLES = ["::/1", "8000::/1"];
const PATIENCE = ["+tries=1", "+time=1"];

test("networks of all kinds", needs(...HOST_NEEDS), async (t) => {
  await using laptop = await LaptopVnet.prepare();
  const { alice, root, cluster } = laptop;
  const sh = (script: string) => root.execOk(["sh", "-ec", script]);
  const before = await laptop.snapshot();

  /** Changes the host by `prepare`, runs VNet, and undoes both. */
  const on = (name: string, prepare: string, undo: string, flags: string[], body: (output: string) => Promise<void>) =>
    t.test(name, async () => {
      if (prepare !== "") await sh(prepare);
      try {
        await using vnet = await laptop.start([...VNET, ...flags]);
        await body(vnet.output);
        assert.deepEqual(await vnet.stop("SIGINT"), { code: 0, signal: null });
      } finally {
        if (undo !== "") await sh(undo);
      }
      await laptop.restored(before, performance.now());
    });
  const address = async (family: string) =>
    (await alice.exec(["getent", family, "tcp-app.company.test"])).stdout.split(/\s/, 1)[0] ?? "";

  const tailnet = ["ip route add 100.100.0.0/16 dev eth0 table 52", "ip rule add pref 5270 lookup 52"];
  const noTailnet = ["ip rule del pref 5270", "ip route flush table 52"];
  await on(
    "a part of the range belongs to another VPN, in a table of its own",
    tailnet.join(";"),
    noTailnet.join(";"),
    [],
    async (output) => {
      assert.match(
        output,
        /^100\.64\.0\.0\/10 is in use on this host \(100\.100\.0\.0\/16 by eth0 \(table 52\)\): VNet uses 100\.64\.0\.0\/11$/m,
      );
      assert.match(await root.execOk(["ip", "route", "get", "100.100.1.1"]), /dev eth0 table 52/);
      assert.match(await address("ahostsv4"), /^100\.(6[4-9]|[78]\d|9[0-5])\./);
      assert.equal(await clientAddress(alice), AGENT);
      assert.equal((await statusOf(laptop)).clusters[0]?.ipv4_cidr, "100.64.0.0/11");
    },
  );

  await t.test("all of the range belongs to another interface: it says whose, and --ipv4-cidr helps", async () => {
    await sh("ip route add 100.64.0.0/10 dev eth0");
    const refused = await alice.exec(VNET);
    assert.equal(
      refused.stderr,
      "ERROR: 100.64.0.0/10 is in use on this host (100.64.0.0/10 by eth0), all of it: choose another range with --ipv4-cidr\n",
    );
    assert.equal(refused.code, 1);
    await using vnet = await laptop.start([...VNET, "--ipv4-cidr=10.55.0.0/16"]);
    assert.match(await address("ahostsv4"), /^10\.55\./);
    assert.equal(await clientAddress(alice), AGENT);
    await vnet.stop("SIGINT");
    await sh("ip route del 100.64.0.0/10 dev eth0");
    await laptop.restored(before, performance.now());
  });

  await on("a range that is nobody's private one, on root's word", "", "", ["--ipv4-cidr=203.0.113.0/25"], async () => {
    assert.match(await address("ahostsv4"), /^203\.0\.113\./);
    assert.equal(await clientAddress(alice), AGENT);
  });

  await on("--ipv4-only", "", "", ["--ipv4-only"], async () => {
    assert.doesNotMatch(await address("ahostsv6"), /^fd/);
    assert.doesNotMatch(await root.execOk(["sh", "-c", "ip -6 rule; ip -6 route show table all"]), /30318/);
    await assertClients(laptop, { ipv6: false });
  });

  const off = (value: number) =>
    ["all", "default"].map((dev) => `sysctl -qw net.ipv6.conf.${dev}.disable_ipv6=${value}`);
  const backOn = [...off(0), "ip addr add 2001:db8:1::10/64 dev eth0 nodad", "ip route add ::/0 via 2001:db8:1::1"];
  await on("IPv6 is switched off", off(1).join(";"), backOn.join(";"), [], async () => {
    assert.doesNotMatch(await address("ahostsv6"), /^fd/);
    await assertClients(laptop, { ipv6: false });
  });

  await on(
    "IPv6 leads nowhere, and a name server lies there",
    `cp -p /etc/resolv.conf /run/kept; ${BLACK_HOLES.map((prefix) => `ip route add blackhole ${prefix}`).join(";")}
     sed -i '1i nameserver 2001:db8:ffff::1' /etc/resolv.conf`,
    `${BLACK_HOLES.map((prefix) => `ip route del blackhole ${prefix}`).join(";")}; cp -p /run/kept /etc/resolv.conf`,
    [],
    () => assertClients(laptop),
  );

  await t.test("a host without IPv4", async () => {
    const relay = cluster.hosts.proxy.spawn("relay", [process.execPath, "-e", RELAY]);
    await relay.waitFor(/^ready$/m);
    const had = await root.execOk(["ip", "-4", "route", "show", "default"]);
    await sh("ip -4 addr flush dev eth0; echo '2001:db8:1::20 teleport.example.com' >>/etc/hosts");
    await using vnet = await laptop.start();
    // Without an IPv4 address of its own, libc would drop the answers that lead there (AI_ADDRCONFIG).
    assert.match(await address("ahosts"), /^(100\.|fd)/);
    assert.match(await alice.execOk(["getent", "ahosts", "tcp-app.company.test"]), /^100\./m);
    assert.equal(await clientAddress(alice), AGENT);
    await vnet.stop("SIGINT");
    await sh(`sed -i '$d' /etc/hosts; ip addr add 198.51.100.10/24 dev eth0; ip route add ${had}`);
    await laptop.restored(before, performance.now());
  });

  for (const filter of [0, 1, 2]) {
    const set = (value: number, forward: number) =>
      [
        ...["all", "default", "eth0"].map((dev) => `sysctl -qw net.ipv4.conf.${dev}.rp_filter=${value}`),
        `sysctl -qw net.ipv4.ip_forward=${forward}`,
        `sysctl -qw net.ipv6.conf.all.forwarding=${forward}`,
      ].join(";");
    await on(
      `a host that forwards, with rp_filter ${filter}: its neighbours get nothing`,
      set(filter, 1),
      set(0, 0),
      [],
      async () => {
        const neighbour = cluster.hosts.agent;
        const app = await address("ahostsv4");
        await neighbour.execOk(["ip", "route", "add", "100.64.0.0/10", "via", laptop.root.address]);
        try {
          const asked = await neighbour.exec(["dig", "@100.64.0.2", ...PATIENCE, "tcp-app.company.test"]);
          assert.notEqual(asked.code, 0, asked.stdout);
          const url = `postgres://postgres@${app}/postgres?connect_timeout=2`;
          const query = await neighbour.exec(["psql", url, "-Atc", "select 1"]);
          assert.equal(query.code, 2, query.stdout);
          const way = await root.exec(["ip", "route", "get", app, "from", neighbour.address, "iif", "eth0"]);
          assert.match(way.stderr, /Permission denied/, way.stdout);
        } finally {
          await neighbour.execOk(["ip", "route", "del", "100.64.0.0/10"]);
        }
        assert.equal(await clientAddress(alice), AGENT);
        assert.equal(await clientAddress(root), AGENT);
      },
    );
  }

  await on(
    "--dns-manager=none: nothing is written, and the person is told",
    "",
    "",
    ["--dns-manager=none"],
    async (output) => {
      assert.match(
        output,
        /^VNet does not change how this host finds names: send company\.test, teleport\.example\.com to the DNS server 100\.64\.0\.2 or fd\S+ yourself$/m,
      );
      assert.equal(await root.execOk(["cat", "/etc/resolv.conf"]), "nameserver 198.51.100.1\n");
      assert.equal(await address("ahostsv4"), "");
      assert.match(await alice.execOk(["dig", "@100.64.0.2", "+short", "tcp-app.company.test"]), /^100\./);
      assert.equal((await statusOf(laptop)).resolver?.manager, "none");
    },
  );

  await t.test("--dns-manager of what is not there is an error, and nothing is begun", async () => {
    const refused = await alice.exec([...VNET, "--dns-manager=systemd-resolved"]);
    assert.equal(refused.stderr, "ERROR: there is no D-Bus system bus\n");
    assert.equal(await laptop.snapshot(), before);
    const unknown = await alice.exec([...VNET, "--dns-manager=bind"]);
    assert.match(unknown.stderr, /Allowed choices are systemd-resolved, openresolv, resolvconf, file, none/);
  });

  await t.test("a resolv.conf that cannot be written: VNet serves whoever asks it, and says so", async () => {
    await sh("mount --bind /etc/resolv.conf /etc/resolv.conf; mount -o remount,bind,ro /etc/resolv.conf");
    await using vnet = await laptop.start();
    assert.match(vnet.output, /^file cannot be used: .*; VNet does not change how this host finds names: /m);
    assert.match(await alice.execOk(["dig", "@100.64.0.2", "+short", "tcp-app.company.test"]), /^100\./);
    await vnet.stop("SIGINT");
    await sh("umount /etc/resolv.conf");
    await laptop.restored(before, performance.now());
  });

  await t.test("psql's own words for an unassigned address, at once", async () => {
    await using vnet = await laptop.start();
    const since = performance.now();
    const nowhere = await alice.exec([
      "psql",
      "postgres://postgres@100.64.200.200/postgres",
      ...PSQL.slice(2),
      "select 1",
    ]);
    assert.match(nowhere.stderr, /Connection refused/);
    assert.ok(performance.now() - since < 1_000);
    await vnet.stop("SIGINT");
  });
});

/** The proxy's own port, for who has IPv6 only. */
const RELAY = `
  const net = require("node:net");
  net.createServer((client) => {
    const server = net.connect(443, "198.51.100.20");
    client.pipe(server).pipe(client);
    client.on("error", () => server.destroy());
    server.on("error", () => client.destroy());
  }).listen(443, "2001:db8:1::20", () => console.log("ready"))`;
