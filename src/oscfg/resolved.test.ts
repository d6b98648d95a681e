import assert from "node:assert/strict";
import { test } from "node:test";
import type { DBusTarget } from "./dbus.ts";
import type { DBusValue } from "./dbus-values.ts";
import { DBusError } from "./errors.ts";
import { type Bus, Resolved } from "./resolved.ts";

const WANTED = {
  device: "vnet0",
  servers: ["100.64.0.2", "fd12::2"],
  zones: ["company.test"],
  ranges: ["192.168.2.0/24"],
};
const V4 = Uint8Array.of(100, 64, 0, 2);
const V6 = Uint8Array.from([0xfd, 0x12, ...Array<number>(13).fill(0), 2]);
const OUR_DOMAINS = [
  ["company.test", true],
  ["2.168.192.in-addr.arpa", true],
];

/** A systemd-resolved that keeps what it is told about link 3, and knows link 2 and what `properties` add. */
class FakeBus implements Bus {
  closed = false;
  readonly calls: string[] = [];
  readonly missing: string[] = [];
  manager: Record<string, DBusValue> = { DNS: [], Domains: [], FallbackDNS: [] };
  links: Record<number, Record<string, DBusValue>> = { 2: {}, 3: { DNS: [], Domains: [], DefaultRoute: true } };

  async call(_: DBusTarget, member: string, signature = "", body: readonly DBusValue[] = []): Promise<DBusValue[]> {
    if (this.missing.includes(member)) throw new DBusError("what?", "org.freedesktop.DBus.Error.UnknownMethod");
    const [index, value] = body as [number, DBusValue];
    const link = this.links[index];
    if (member === "GetLink") return [`/link/${index}`];
    this.calls.push(`${member} ${signature}`.trim());
    if (index !== undefined && link === undefined)
      throw new DBusError("Link not known", `org.freedesktop.resolve1.NoSuchLink`);
    const setting = /^SetLink(DNS|Domains|DefaultRoute)$/.exec(member)?.[1];
    if (setting !== undefined) link![setting] = value;
    return [];
  }
  async property(target: DBusTarget, name: string): Promise<DBusValue> {
    return (await this.properties(target)).get(name)!;
  }
  async properties({ path }: DBusTarget): Promise<ReadonlyMap<string, DBusValue>> {
    const index = Number(/^\/link\/(\d+)$/.exec(path)?.[1]);
    return new Map(Object.entries(this.links[index] ?? this.manager));
  }
}

function resolved(index: number | undefined = 3) {
  const bus = new FakeBus();
  const links = { indexOf: async () => index, nameOf: async () => "eth0" };
  return { bus, resolver: new Resolved(links, async () => bus) };
}

test("never a link with servers and without domains, and the cache is emptied last", async () => {
  const { bus, resolver } = resolved();
  assert.equal(await resolver.isApplied(WANTED), false);
  await resolver.apply(WANTED);
  assert.deepEqual(bus.calls, [
    "SetLinkDefaultRoute ib",
    "SetLinkLLMNR is",
    "SetLinkMulticastDNS is",
    "SetLinkDNSSEC is",
    "SetLinkDNSOverTLS is",
    "SetLinkDomains ia(sb)",
    "SetLinkDNS ia(iay)",
    "FlushCaches",
  ]);
  assert.deepEqual(bus.links[3], {
    DNS: [
      [2, V4],
      [10, V6],
    ],
    Domains: OUR_DOMAINS,
    DefaultRoute: false,
  });
  assert.equal(await resolver.isApplied(WANTED), true);
  assert.equal(await resolver.isApplied({ ...WANTED, zones: ["other.test"] }), false);
  bus.links[3]!.DefaultRoute = true;
  assert.equal(await resolver.isApplied(WANTED), false);
});

test("an older version lacks some switches; a link that is gone is an error", async () => {
  const { bus, resolver } = resolved();
  bus.missing.push("SetLinkDNSOverTLS", "SetLinkDefaultRoute");
  await resolver.apply(WANTED);
  assert.equal(bus.calls.at(-1), "FlushCaches");
  await assert.rejects(resolved(9).resolver.apply(WANTED), { errorName: "org.freedesktop.resolve1.NoSuchLink" });
  const none = { indexOf: async () => undefined, nameOf: async () => undefined };
  const gone = new Resolved(none, async () => new FakeBus());
  await assert.rejects(gone.apply(WANTED), { message: "there is no network device vnet0" });
  await gone.revert("vnet0"); // went with the device
});

test("revert leaves nothing", async () => {
  const { bus, resolver } = resolved();
  await resolver.revert("vnet0");
  assert.deepEqual(bus.calls, ["RevertLink i", "FlushCaches"]);
});

test("upstreams: without our own, nor those of a link for its own domains only; else the fallback ones", async () => {
  const { bus, resolver } = resolved();
  await resolver.apply(WANTED);
  bus.links = { 2: { DefaultRoute: true }, 3: { DefaultRoute: false }, 4: { DefaultRoute: false } };
  const linkLocal = Uint8Array.from([0xfe, 0x80, ...Array<number>(13).fill(0), 1]);
  bus.manager.DNS = [
    [0, 2, Uint8Array.of(192, 0, 2, 1)],
    [3, 2, V4],
    [3, 10, V6],
    [2, 2, Uint8Array.of(192, 0, 2, 1)],
    [2, 10, linkLocal],
    [4, 2, Uint8Array.of(10, 0, 0, 53)],
  ];
  assert.deepEqual(await resolver.upstreams(), ["192.0.2.1", "fe80::1%eth0"]);
  bus.manager.Domains = [
    [0, "corp.test", false],
    [4, ".", true],
  ];
  assert.deepEqual(await resolver.upstreams(), ["10.0.0.53"], "a VPN for everything");
  bus.manager.DNS = [[3, 2, V4]];
  bus.manager.FallbackDNS = [[0, 2, Uint8Array.of(9, 9, 9, 9)]];
  assert.deepEqual(await resolver.upstreams(), ["9.9.9.9"]);
});

test("a connection that has ended is made anew", async () => {
  let connections = 0;
  const links = { indexOf: async () => 3, nameOf: async () => undefined };
  const bus = new FakeBus();
  const resolver = new Resolved(links, async () => {
    connections++;
    return bus;
  });
  await resolver.apply(WANTED);
  bus.closed = true;
  await resolver.isApplied(WANTED);
  assert.equal(connections, 3); // the fake stays closed: each of the two calls asks for a new one
});
