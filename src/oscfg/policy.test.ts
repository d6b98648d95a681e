import assert from "node:assert/strict";
import { test } from "node:test";
import { type HostFacts, refusal } from "./policy.ts";
import { EMPTY_STATE, parseWantedState, type WantedState } from "./state.ts";

const STATE: WantedState = {
  version: 1,
  mtu: 1_500,
  addresses: ["100.64.0.1/32", "fd12:3456:789a:1::1/64"],
  ranges: ["100.64.0.0/10", "10.20.0.0/16", "fd12:3456:789a:1::/64"],
  dns: ["100.64.0.2", "fd12:3456:789a:1::2"],
  zones: ["company.test", "a.b.example.com"],
  proxies: ["203.0.113.20"],
};
const FACTS: HostFacts = {
  addresses: ["127.0.0.1", "192.168.1.5", "fe80::1"],
  gateways: ["192.168.1.1", "fe80::2"],
  resolvers: ["192.168.1.1", "10.1.1.1"],
  ipv6: true,
  taken: [],
};

test("an ordinary state, and an empty one, are carried out", () => {
  assert.equal(refusal(STATE, FACTS), undefined);
  assert.equal(refusal(EMPTY_STATE, FACTS), undefined);
  assert.equal(refusal({ ...STATE, ranges: [...STATE.ranges, "198.18.0.0/15", "172.16.0.0/12"] }, FACTS), undefined);
});

const many = (count: number, make: (i: number) => string) => Array.from({ length: count }, (_, i) => make(i));

test("what an unprivileged process may not have is refused with the reason", () => {
  const table: [change: Partial<WantedState>, reason: RegExp][] = [
    [{ ranges: ["0.0.0.0/0"] }, /0\.0\.0\.0\/0 is not a private one/],
    [{ ranges: ["8.8.8.0/24"] }, /8\.8\.8\.0\/24 is not a private one/],
    [{ ranges: ["100.0.0.0/8"] }, /not a private one/],
    [{ ranges: ["100.64.0.1/10"] }, /should be written 100\.64\.0\.0\/10/],
    [{ ranges: ["100.64.0.0/10; reboot"] }, /is not an address range/],
    [{ ranges: ["\u001b[2J"] }, /^"\\u001b\[2J" is not an address range$/],
    [{ ranges: ["2001:db8::/64"] }, /not a \/64 of unique local addresses/],
    [{ ranges: ["fd12::/48"] }, /not a \/64/],
    [{ ranges: ["fd12::/64", "fd13::/64"] }, /2 IPv6 ranges are more than 1/],
    [{ ranges: many(17, (i) => `10.${i}.2.0/24`) }, /17 IPv4 ranges are more than 16/],
    [{ addresses: ["192.168.1.77/32"] }, /is in none of the ranges/],
    [{ addresses: ["100.64.0.1/10"] }, /should be a \/32/],
    [{ addresses: ["100.64.0.1/32", "100.64.0.3/32"] }, /one address of each family/],
    [{ addresses: ["dev eth0/32"] }, /is not an address/],
    [{ dns: ["9.9.9.9"] }, /DNS address 9\.9\.9\.9 is in none/],
    [{ dns: ["100.64.0.1"] }, /the device's own address/],
    [{ dns: many(3, (i) => `100.64.0.${i + 2}`) }, /more than 2/],
    [{ zones: ["test"] }, /"?test"? is too wide/],
    [{ zones: ["1.168.192.in-addr.arpa"] }, /too wide/],
    [{ zones: ["a..test"] }, /is not a DNS zone/],
    [{ zones: ["Company.test"] }, /is not a DNS zone/],
    [{ zones: many(65, (i) => `z${i}.test`) }, /65 DNS zones are more than 64/],
    [{ mtu: 576 }, /MTU 576/],
    [{ mtu: 65_536 }, /MTU 65536/],
    [{ ranges: ["192.168.0.0/16"], addresses: [], dns: [] }, /contains an address of this host, 192\.168\.1\.5/],
    [{ ranges: ["192.168.1.0/30"], addresses: [], dns: [] }, /contains a gateway, 192\.168\.1\.1/],
    [{ ranges: ["10.1.0.0/16"], addresses: [], dns: [] }, /contains a name server, 10\.1\.1\.1/],
    [{ proxies: ["100.70.0.1"] }, /contains a proxy, 100\.70\.0\.1; choose another one/],
  ];
  for (const [change, reason] of table) {
    assert.match(refusal({ ...STATE, ...change }, FACTS) ?? "carried out", reason, JSON.stringify(change));
  }
});

test("a state of another version or shape is no state", () => {
  const table: [value: unknown, reason: string][] = [
    [null, "state.not-an-object"],
    ["{}", "state.not-an-object"],
    [{ ...STATE, version: 2 }, "state.version"],
    [{ ...STATE, mtu: 1500.5 }, "state.mtu"],
    [{ ...STATE, ranges: "100.64.0.0/10" }, "state.ranges"],
    [{ ...STATE, dns: [1] }, "state.dns"],
    [{ ...STATE, zones: ["x".repeat(256)] }, "state.zones"],
    [{ ...STATE, proxies: many(257, () => "192.0.2.1") }, "state.proxies"],
    [{ ...STATE, command: "reboot" }, "state.unknown-field"],
  ];
  for (const [value, reason] of table) assert.deepEqual(parseWantedState(value), { malformed: reason });
  assert.deepEqual(parseWantedState(JSON.parse(JSON.stringify(STATE))), STATE);
});
