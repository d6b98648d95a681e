/** `sudo tsh vnet` on hosts where others keep `/etc/resolv.conf`: openresolv, Debian's resolvconf, NetworkManager, DHCP. */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { installLayer, type Machine, needs } from "../../src/testkit/mod.ts";
import { assertClients, HOST_NEEDS, LaptopVnet, statusOf, upstreamsOf, within } from "./host-vnet.ts";

const SERVER = "198.51.100.1";
/** Answers nothing: `SERVER` behind it still does. */
const OTHER = "198.51.100.77";
/** From another program's change to its being followed, and to VNet's names being found again. */
const FOLLOW_MS = 10_000;

test(
  "resolv.conf in other hands",
  needs(...HOST_NEEDS, "openresolv", "resolvconf", "network-manager", "dbus-daemon"),
  async (t) => {
    await using laptop = await LaptopVnet.prepare();
    const { root } = laptop;

    for (const manager of MANAGERS) {
      await t.test(manager.name, async (t) => {
        await manager.install(root);
        await manager.servers(root, [SERVER]);
        const before = await laptop.snapshot({ times: false });
        const vnet = await laptop.start(["sudo", "tsh", "vnet", ...(manager.flags ?? [])]);
        assert.deepEqual((await statusOf(laptop)).resolver, { manager: manager.expected });
        assert.deepEqual(await upstreamsOf(laptop), [SERVER]);
        await assertClients(laptop);
        await follows(t, laptop, manager);
        assert.deepEqual(await vnet.stop("SIGINT"), { code: 0, signal: null });
        await manager.servers(root, [SERVER]);
        await laptop.restored(before, performance.now(), { times: false });
        assert.equal((await root.exec(["dig", "+short", "tcp-app.company.test"])).stdout, "");
        await manager.remove(root);
      });
    }
  },
);

/** A server that comes and goes while VNet runs: it is asked, and VNet's names are found all the while or again soon. */
async function follows(t: TestContext, laptop: LaptopVnet, manager: Manager): Promise<void> {
  const { root } = laptop;
  for (const servers of [[OTHER, SERVER], [SERVER]]) {
    await manager.servers(root, servers);
    // In any order: one that was silent is asked last.
    const ms = await within(FOLLOW_MS, async () => {
      const found = (await root.exec(["getent", "ahostsv4", "tcp-app.company.test"])).stdout.startsWith("100.");
      return found && JSON.stringify((await upstreamsOf(laptop)).sort()) === JSON.stringify(servers.toSorted());
    });
    t.diagnostic(`${servers.join(", ")} followed after ${Math.round(ms)} ms`);
  }
}

interface Manager {
  readonly name: string;
  readonly flags?: readonly string[];
  readonly expected: string;
  install(root: Machine): Promise<unknown>;
  /** What DHCP, say, has told it. */
  servers(root: Machine, servers: readonly string[]): Promise<unknown>;
  remove(root: Machine): Promise<unknown>;
}

const lines = (servers: readonly string[]) => servers.map((server) => `nameserver ${server}\n`).join("");
const sh = (root: Machine, script: string, input = "") => root.execOk(["sh", "-ec", script], { input });
const removeResolvconf = (root: Machine) =>
  sh(root, "rm -rf /usr/sbin/resolvconf /run/resolvconf /etc/resolvconf /etc/resolvconf.conf /lib/resolvconf");

const MANAGERS: readonly Manager[] = [
  {
    name: "openresolv",
    expected: "openresolv",
    async install(root) {
      await removeResolvconf(root); // what this machine has of it
      await installLayer(root, "openresolv");
    },
    servers: (root, servers) => sh(root, "resolvconf -a eth0.dhcp", lines(servers)),
    remove: removeResolvconf,
  },
  {
    name: "Debian's resolvconf",
    expected: "resolvconf",
    async install(root) {
      await removeResolvconf(root);
      await installLayer(root, "resolvconf");
      // What its maintainer script and its unit do.
      await sh(
        root,
        "mkdir -p /run/resolvconf/interface; resolvconf --enable-updates; ln -sf /run/resolvconf/resolv.conf /etc/",
      );
    },
    servers: (root, servers) => sh(root, "resolvconf -a eth0.dhclient", lines(servers)),
    remove: removeResolvconf,
  },
  {
    name: "a DHCP client that writes the file in place, without a rename",
    expected: "file",
    install: (root) => sh(root, "rm -f /etc/resolv.conf"),
    servers: (root, servers) => sh(root, "cat >/etc/resolv.conf", lines(servers)),
    remove: async () => {},
  },
  {
    name: "NetworkManager",
    expected: "file",
    install: installNetworkManager,
    async servers(root, servers) {
      await sh(root, `nmcli connection modify wired ipv4.dns ${servers.join(",")}; nmcli device reapply eth0`);
      await within(FOLLOW_MS, async () => {
        const text = await root.execOk(["cat", "/run/NetworkManager/resolv.conf"]);
        return text.endsWith(lines(servers));
      });
    },
    remove: async () => {}, // It goes with the host: this one is the last.
  },
];

async function installNetworkManager(root: Machine): Promise<void> {
  await installLayer(root, "network-manager");
  await sh(
    root,
    `id messagebus >/dev/null 2>&1 || useradd --system messagebus
     rm -f /etc/resolv.conf; mkdir -p /run/dbus; dbus-uuidgen --ensure=/etc/machine-id
     printf '[main]\\nhostname-mode=none\\n' >/etc/NetworkManager/conf.d/test.conf
     mount -o remount,ro /sys # else it waits for udev, which is not there`,
  );
  const bus = root.spawn("dbus-daemon", ["dbus-daemon", "--system", "--nofork", "--nopidfile", "--print-address"]);
  await bus.waitFor(/^unix:/m);
  const daemon = root.spawn("NetworkManager", ["NetworkManager", "--debug", "--log-level=INFO"]);
  await within(FOLLOW_MS, async () => (await root.exec(["nmcli", "general"])).code === 0);
  await sh(
    root,
    `nmcli device set eth0 managed yes
     nmcli connection add con-name wired type ethernet ifname eth0 ipv6.method ignore ipv4.method manual \\
       ipv4.addresses 198.51.100.10/24 ipv4.gateway 198.51.100.1 ipv4.dns ${SERVER}
     nmcli connection up wired`,
  ).catch((error: unknown) => {
    throw new Error(`NetworkManager:\n${daemon.output}`, { cause: error });
  });
}
