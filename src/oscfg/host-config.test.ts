import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { virtualClock } from "../testkit/mod.ts";
import { DBusError, OsCommandError } from "./errors.ts";
import { FileResolver, NoResolver } from "./file-resolver.ts";
import { HostConfig } from "./host-config.ts";
import { MAX_MENDS, MENDS_WINDOW_MS, NETWORK_LOOK_MS, RESOLVER_RESTART_MS, RESOLVER_RETRY_MS } from "./limits.ts";
import type { Os } from "./os.ts";
import { resolvConfPaths } from "./resolv-conf.ts";
import type { HostResolver, WantedDns } from "./resolver.ts";
import type { WantedState } from "./state.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "vnet-oscfg-"));
  writeFileSync(join(dir, "resolv.conf"), "nameserver 192.168.1.1\n");
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A kernel of few words: remembers what was asked of `ip`, and what of it is there; `fail` makes the calls that match it fail. */
class FakeOs implements Os {
  readonly calls: string[] = [];
  /** Addresses, routes and rules by the arguments that made them, without the verb. */
  readonly kernel = new Set<string>();
  ipv6 = true;
  restored = 0;
  fail: RegExp | undefined;

  async ip(args: readonly string[]): Promise<string> {
    const line = args.join(" ");
    if (line === "-json address") {
      return '[{"ifname":"eth0","addr_info":[{"local":"192.168.1.5"}]},{"ifname":"vnet0","addr_info":[{"local":"100.64.0.1"}]}]';
    }
    if (line === "-json -4 rule") return "[]";
    const asked = /^-json (-\S )?(\w+) show( dev vnet0| table 30318)?$/.exec(line);
    if (asked) return this.#shown(asked[2]!, asked[1]?.trim());
    if (line.startsWith("-json")) {
      return '[{"dst":"default","gateway":"192.168.1.1","dev":"eth0","table":"main"},{"dst":"100.64.0.0/24","dev":"vnet0","table":"30318"}]';
    }
    this.calls.push(line);
    if (this.fail?.test(line)) throw new OsCommandError(`ip ${line}`, "RTNETLINK answers: Invalid argument");
    this.#change(line);
    return "";
  }

  #change(line: string): void {
    const [, family, object, verb, what] = /^(-\S) (\w+) (add|del) (.*?)( nodad noprefixroute)?$/.exec(line) ?? [];
    const key = `${family} ${object} ${what}`;
    if (verb === undefined) return; // of the link
    if ((verb === "add") === this.kernel.has(key)) {
      throw new OsCommandError(
        `ip ${line}`,
        `RTNETLINK answers: ${verb === "add" ? "File exists" : "No such process"}`,
      );
    }
    if (verb === "add") this.kernel.add(key);
    else this.kernel.delete(key);
  }

  /** What `show` prints of an object, of either family unless one is given. */
  #shown(object: string, family = ""): string {
    const entries = [...this.kernel].filter((key) => key.startsWith(family) && key.split(" ")[1] === object);
    if (object === "address") return JSON.stringify([{ ifname: "vnet0", addr_info: entries }]);
    if (object === "route" && entries.length === 0) throw new OsCommandError("ip", "Error: FIB table does not exist.");
    return JSON.stringify([{ protocol: "kernel" }, ...entries.map(() => ({ protocol: "176" }))]);
  }
  hasIpv6(): boolean {
    return this.ipv6;
  }
  async restoreResolvConf(): Promise<void> {
    this.restored++;
  }
  async resolvconf(): Promise<string> {
    throw new OsCommandError("resolvconf", "not there");
  }
  async indexOf(): Promise<number | undefined> {
    return undefined;
  }
  async nameOf(): Promise<string | undefined> {
    return undefined;
  }
  taken(): string[] {
    return this.calls.splice(0);
  }
}

const STATE: WantedState = {
  version: 1,
  mtu: 1_500,
  addresses: ["100.64.0.1/32", "fd12::1/64"],
  ranges: ["100.64.0.0/24", "fd12::/64"],
  dns: ["100.64.0.2", "fd12::2"],
  zones: ["company.test"],
  proxies: [],
};

const clock = virtualClock();

function config(os: Os, users: number | "all" = 1_000, before: readonly HostResolver[] = []): HostConfig {
  const paths = resolvConfPaths(join(dir, "resolv.conf"));
  const resolvers = [...before, new FileResolver(paths, () => os.restoreResolvConf()), new NoResolver(paths)];
  return new HostConfig(os, resolvers, { device: "vnet0", queueLen: 5_000, users, clock });
}

/** Remembers what it was told; `fail` makes its calls fail. */
class FakeResolver implements HostResolver {
  readonly manager = "systemd-resolved";
  wanted: WantedDns | undefined;
  applied = 0;
  fail: "never" | "apply" | "always" = "never";

  async apply(wanted: WantedDns): Promise<void> {
    if (this.fail === "apply") throw new DBusError("it may not be told", "org.freedesktop.DBus.Error.AccessDenied");
    if (this.fail === "always") throw new DBusError("it does not answer");
    this.applied++;
    this.wanted = wanted;
  }
  async isApplied(wanted: WantedDns): Promise<boolean> {
    if (this.fail === "always") throw new DBusError("it does not answer");
    return JSON.stringify(wanted) === JSON.stringify(this.wanted);
  }
  async revert(): Promise<void> {
    this.wanted = undefined;
  }
  async upstreams(): Promise<string[]> {
    if (this.fail === "always") throw new DBusError("it does not answer");
    return ["192.0.2.53"];
  }
}

test("the first state, in the order in which it is made", async () => {
  const os = new FakeOs();
  await config(os).apply(STATE);
  assert.deepEqual(os.taken(), [
    "link set dev vnet0 mtu 1500 txqueuelen 5000 addrgenmode none",
    "link set dev vnet0 up",
    "-4 address add 100.64.0.1/32 dev vnet0",
    "-6 address add fd12::1/64 dev vnet0 nodad noprefixroute",
    "-4 route add unreachable 100.64.0.0/24 metric 4294967295 table 30318 protocol 176",
    "-6 route add unreachable fd12::/64 metric 4294967295 table 30318 protocol 176",
    "-4 route add 100.64.0.0/24 dev vnet0 congctl reno table 30318 protocol 176",
    "-6 route add fd12::/64 dev vnet0 congctl reno table 30318 protocol 176",
    "-4 rule add to 100.64.0.2 lookup 30318 pref 5190 protocol 176",
    "-6 rule add to fd12::2 lookup 30318 pref 5190 protocol 176",
    "-4 rule add iif lo uidrange 1000-1000 lookup 30318 pref 5191 protocol 176",
    "-4 rule add iif lo uidrange 0-0 lookup 30318 pref 5192 protocol 176",
    "-6 rule add iif lo uidrange 1000-1000 lookup 30318 pref 5191 protocol 176",
    "-6 rule add iif lo uidrange 0-0 lookup 30318 pref 5192 protocol 176",
    "-4 rule add to 100.64.0.0/24 prohibit pref 5193 protocol 176",
    "-6 rule add to fd12::/64 prohibit pref 5193 protocol 176",
  ]);
  assert.match(
    readFileSync(join(dir, "resolv.conf"), "utf8"),
    /nameserver 100\.64\.0\.2\nnameserver 192\.168\.1\.1\n$/,
  );
});

test("a later state changes only what differs, and an empty one removes all", async () => {
  const os = new FakeOs();
  const host = config(os, 0);
  await host.apply(STATE);
  os.taken();
  await host.apply(STATE);
  assert.deepEqual(os.taken(), []);

  await host.apply({ ...STATE, ranges: ["100.64.0.0/24", "10.9.0.0/16", "fd12::/64"] });
  assert.deepEqual(os.taken(), [
    "-4 route add unreachable 10.9.0.0/16 metric 4294967295 table 30318 protocol 176",
    "-4 route add 10.9.0.0/16 dev vnet0 congctl reno table 30318 protocol 176",
    "-4 rule add to 10.9.0.0/16 prohibit pref 5193 protocol 176",
  ]);

  await host.apply({ ...STATE, addresses: [], ranges: [], dns: [] });
  const removed = os.taken();
  assert.equal(os.restored, 1);
  assert.equal(removed[0], "-4 rule del to 10.9.0.0/16 prohibit pref 5193 protocol 176"); // last made, first gone
  assert.equal(removed.at(-1), "-4 address del 100.64.0.1/32 dev vnet0");
  assert.equal(removed.length, 3 + 12);
});

const ROUTE = "-4 route 100.64.0.0/24 dev vnet0 congctl reno table 30318 protocol 176";

test("what other programs have removed is made again, and nothing else is touched", async () => {
  const os = new FakeOs();
  const host = config(os);
  await host.mend();
  assert.deepEqual(os.taken(), [], "nothing is wanted yet");
  await host.apply(STATE);
  const made = [...os.kernel];
  os.taken();
  clock.advance(NETWORK_LOOK_MS);
  await host.mend();
  assert.deepEqual(os.taken(), [], "all is there");
  for (const gone of made) {
    os.kernel.delete(gone);
    await host.mend();
    assert.deepEqual(os.taken(), [], "it is too early to look again");
    clock.advance(NETWORK_LOOK_MS);
    await host.mend();
    assert.deepEqual([...os.kernel].sort(), made.toSorted(), gone);
    assert.ok(os.taken().every((call) => / add |^link set /.test(call)));
  }
  os.kernel.clear(); // the link was down
  await host.apply(STATE);
  assert.deepEqual([...os.kernel].sort(), made.toSorted());
  os.kernel.delete(ROUTE);
  await host.apply({ ...STATE, addresses: [], ranges: [], dns: [] });
  assert.equal(os.kernel.size, 0, "what was gone already did not hinder the rest");
});

test("what cannot be made again is tried again later; IPv6 that was switched off is not missed", async () => {
  const os = new FakeOs();
  const host = config(os);
  await host.apply(STATE);
  const made = os.kernel.size;
  os.kernel.delete(ROUTE);
  os.fail = /route add 100/;
  clock.advance(NETWORK_LOOK_MS);
  await assert.rejects(host.mend(), { code: "oscfg.command" });
  await host.mend(); // not yet
  os.fail = undefined;
  clock.advance(NETWORK_LOOK_MS);
  await host.mend();
  assert.equal(os.kernel.size, made);

  os.ipv6 = false;
  for (const key of os.kernel) if (key.startsWith("-6")) os.kernel.delete(key);
  os.taken();
  clock.advance(NETWORK_LOOK_MS);
  await host.mend();
  assert.deepEqual(os.taken(), []);
  os.ipv6 = true;
  clock.advance(NETWORK_LOOK_MS);
  await host.mend();
  assert.equal(os.kernel.size, made);
});

test("without IPv6 the rest is made; for all users one rule is enough", async () => {
  const os = new FakeOs();
  os.ipv6 = false;
  await config(os, "all").apply(STATE);
  const calls = os.taken();
  assert.ok(calls.every((call) => !call.includes("fd12")));
  assert.deepEqual(
    calls.filter((call) => call.includes("iif")),
    ["-4 rule add iif lo lookup 30318 pref 5191 protocol 176"],
  );
});

test("a refused state changes nothing; after a failure the next state goes on from there", async () => {
  const os = new FakeOs();
  const host = config(os);
  await assert.rejects(host.apply({ ...STATE, ranges: ["192.168.1.0/24"] }), { code: "oscfg.refused" });
  await assert.rejects(host.apply({ version: 9 }), { code: "oscfg.refused" });
  assert.deepEqual(os.taken(), []);

  os.fail = /route add 100/;
  await assert.rejects(host.apply(STATE), { code: "oscfg.command" });
  assert.equal(os.taken().length, 7);
  assert.equal(readFileSync(join(dir, "resolv.conf"), "utf8"), "nameserver 192.168.1.1\n");
  os.fail = undefined;
  await host.apply(STATE);
  assert.equal(os.taken()[0], "-4 route add 100.64.0.0/24 dev vnet0 congctl reno table 30318 protocol 176");
});

test("after close nothing is changed any more, not even by the state being applied", async () => {
  const os = new FakeOs();
  const host = config(os);
  const applying = assert.rejects(host.apply(STATE), { code: "oscfg.refused", message: "VNet is ending" });
  while (os.calls.length < 3) await Promise.resolve();
  await host.close();
  const made = os.taken();
  await assert.rejects(host.apply(STATE), { code: "oscfg.refused" });
  await applying;
  assert.ok(made.length < 5, `${made.length} calls`);
  assert.deepEqual(os.taken(), []);
  assert.equal(readFileSync(join(dir, "resolv.conf"), "utf8"), "nameserver 192.168.1.1\n");
});

/** Lets time pass for as long as `work` waits. */
async function patiently<T>(work: Promise<T>): Promise<T> {
  let done = false;
  void work.finally(() => {
    done = true;
  });
  while (!done) {
    clock.step();
    await setImmediate();
  }
  return work;
}

const text = () => readFileSync(join(dir, "resolv.conf"), "utf8");

// A link without an address, or one that is down, has no part in systemd-resolved: its names would be asked elsewhere.
test("the device is up and has its addresses and routes before a resolver is told", async () => {
  const os = new FakeOs();
  const resolved = new FakeResolver();
  resolved.apply = async () => void os.calls.push("resolver");
  await config(os, 0, [resolved]).apply(STATE);
  assert.equal(os.calls.indexOf("resolver"), os.calls.length - 1);
  assert.ok(os.calls.length > 10);
});

test("the resolver learns servers, zones and ranges, and is told nothing twice", async () => {
  const os = new FakeOs();
  os.ipv6 = false;
  const resolved = new FakeResolver();
  const host = config(os, 0, [resolved]);
  await host.apply(STATE);
  await host.apply(STATE);
  assert.deepEqual(resolved.wanted, {
    device: "vnet0",
    servers: ["100.64.0.2"],
    zones: ["company.test"],
    ranges: STATE.ranges,
  });
  assert.equal(resolved.applied, 1);
  assert.equal(text(), "nameserver 192.168.1.1\n");
  const report = await host.report();
  assert.deepEqual(report, { dns: { manager: "systemd-resolved" }, upstreams: ["192.0.2.53"], taken: [], ipv6: false });
  await host.apply({ ...STATE, dns: [] });
  assert.equal(resolved.wanted, undefined);
});

test("a resolver that fails gives way to the next, and the report says why", async () => {
  for (const [fail, why] of [
    ["apply", "it may not be told"],
    ["always", "it does not answer"],
  ] as const) {
    const resolved = new FakeResolver();
    resolved.fail = fail;
    const host = config(new FakeOs(), 0, [resolved]);
    await patiently(host.apply(STATE));
    assert.match(text(), /^nameserver 100\.64\.0\.2$/m);
    const { dns } = await host.report();
    assert.deepEqual(dns, { manager: "file", note: `systemd-resolved cannot be used: ${why}` });
    writeFileSync(join(dir, "resolv.conf"), "nameserver 192.168.1.1\n");
  }
});

test("where not even the file can be written the person is told what to do", async () => {
  const paths = resolvConfPaths(join(dir, "missing", "resolv.conf"));
  const resolvers = [new FileResolver(paths, async () => {}), new NoResolver(paths)];
  const host = new HostConfig(new FakeOs(), resolvers, { device: "vnet0", queueLen: 1, users: 0, clock });
  await host.apply(STATE);
  const { dns } = await host.report();
  assert.equal(dns.manager, "none");
  assert.match(
    dns.note ?? "",
    /^file cannot be used: .*ENOENT.*; .*send company\.test to the DNS server 100\.64\.0\.2 or fd12::2 yourself$/,
  );
});

test("one that has answered and restarts while it is told is waited for, but not for ever", async () => {
  for (const [ms, manager] of [
    [RESOLVER_RESTART_MS / 2, "systemd-resolved"],
    [RESOLVER_RESTART_MS + RESOLVER_RETRY_MS, "file"],
  ] as const) {
    const resolved = new FakeResolver();
    const host = config(new FakeOs(), 0, [resolved]);
    await host.report();
    resolved.fail = "always";
    const applying = host.apply(STATE);
    for (const since = clock.now(); clock.now() - since < ms; clock.advance(RESOLVER_RETRY_MS)) await setImmediate();
    resolved.fail = "never";
    await patiently(applying);
    assert.equal((await host.report()).dns.manager, manager);
    writeFileSync(join(dir, "resolv.conf"), "nameserver 192.168.1.1\n");
  }
});

test("a resolver that has worked and fails later is waited for", async () => {
  const resolved = new FakeResolver();
  const host = config(new FakeOs(), 0, [resolved]);
  await host.apply(STATE);
  resolved.fail = "always"; // it restarts
  await assert.rejects(host.mend(), { code: "oscfg.dbus" });
  assert.deepEqual((await host.report()).upstreams, ["192.0.2.53"]);
  await host.apply({ ...STATE, zones: ["new.test"] });
  resolved.fail = "never";
  resolved.wanted = undefined; // and has forgotten
  await host.mend();
  assert.deepEqual((resolved.wanted as WantedDns | undefined)?.zones, ["new.test"]);
  await host.mend();
  assert.equal(resolved.applied, 2);
});

test("what others write into the file is taken back, with their servers behind ours, but not for ever", async () => {
  const host = config(new FakeOs());
  await host.mend(); // nothing is wanted yet
  await host.apply(STATE);
  for (let i = 1; i <= MAX_MENDS; i++) {
    writeFileSync(join(dir, "resolv.conf"), `nameserver 192.0.2.${i}\n`);
    await host.mend();
    assert.match(text(), new RegExp(`^nameserver 100\\.64\\.0\\.2\nnameserver 192\\.0\\.2\\.${i}$`, "m"));
    assert.deepEqual((await host.report()).upstreams, [`192.0.2.${i}`]);
  }
  writeFileSync(join(dir, "resolv.conf"), "nameserver 192.0.2.99\n");
  await host.mend();
  assert.equal(text(), "nameserver 192.0.2.99\n");
  assert.match((await host.report()).dns.note ?? "", /^another program keeps changing/);
  clock.advance(MENDS_WINDOW_MS);
  await host.mend();
  assert.match(text(), /^nameserver 100\.64\.0\.2$/m);
  assert.deepEqual((await host.report()).dns, { manager: "file" });
});
