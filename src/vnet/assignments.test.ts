import assert from "node:assert/strict";
import { test } from "node:test";
import { cidrContains, formatIp, type IpAddress, isMalformed, parseIp, seededRandom } from "../base/mod.ts";
import { virtualClock } from "../testkit/mod.ts";
import { parseRange, planAddresses, rangesOf } from "./addresses.ts";
import { Assignments, type AssignmentsOptions } from "./assignments.ts";
import type { ClusterView } from "./directory.ts";
import { ASSIGNMENT_FORGOTTEN_MS, ASSIGNMENT_QUARANTINE_MS } from "./limits.ts";
import { OwnAddresses } from "./own-addresses.ts";

const ip = (text: string): IpAddress => {
  const address = parseIp(text);
  assert(!isMalformed(address), text);
  return address;
};
const range = (text: string) => parseRange(text)!;

function table(seed = 1, more: Partial<AssignmentsOptions> = {}): Assignments {
  return new Assignments({
    v6Prefix: ip("fd01:203:405::1"),
    reserved: ["100.64.0.1", "100.64.0.2"].map(ip),
    random: seededRandom(seed),
    clock: virtualClock(),
    ...more,
  });
}

test("a name keeps one assignment for both families, found again by either", () => {
  const assignments = table();
  const first = assignments.assign("a.test", range("100.64.0.0/10"))!;
  assert.deepEqual(assignments.assign("a.test", range("10.0.0.0/8")), first);
  assert.ok(formatIp(first.v6).startsWith("fd01:203:405::"));
  assert.deepEqual(first.v6.subarray(12), first.v4);
  assert.equal(assignments.hostAt(first.v4), "a.test");
  assert.equal(assignments.hostAt(first.v6), "a.test");
  const otherPrefix = first.v6.slice();
  otherPrefix[5]! ^= 1;
  const otherMiddle = first.v6.slice();
  otherMiddle[10]! ^= 1;
  for (const stranger of [otherPrefix, otherMiddle, ip("100.64.0.1")])
    assert.equal(assignments.hostAt(stranger), undefined);
  assert.equal(assignments.size, 1);
});

test("a /27 gives all but its four special addresses, each once, then fails", () => {
  const small = range("100.64.0.0/27");
  for (const seed of [1, 2, 3]) {
    const assignments = table(seed);
    const given = Array.from({ length: 28 }, (_, i) => assignments.assign(`${i}.test`, small)!.v4[3]!);
    assert.deepEqual(
      given.toSorted((a, b) => a - b),
      Array.from({ length: 28 }, (_, i) => i + 3),
    );
    assert.equal(assignments.assign("one-more.test", small), undefined);
    assert.ok(assignments.assign("0.test", small), "a known name is still answered");
    assert.ok(assignments.assign("elsewhere.test", range("10.0.0.0/24")));
  }
});

test("overlapping ranges share one table, and the DNS server's address is nobody's", () => {
  const assignments = new Assignments({
    v6Prefix: ip("fd01::1"),
    reserved: [ip("10.0.0.33"), ip("10.0.0.34")],
    random: seededRandom(7),
    clock: virtualClock(),
  });
  const given = Array.from({ length: 28 }, (_, i) => assignments.assign(`${i}.a.test`, range("10.0.0.32/27")));
  for (let i = 0; i < 64; i++) given.push(assignments.assign(`${i}.b.test`, range("10.0.0.0/26")));
  const last = given.flatMap((one) => (one ? [one.v4[3]!] : [])).toSorted((x, y) => x - y);
  const expected = Array.from({ length: 63 }, (_, i) => i).filter((i) => i > 2 && i !== 33 && i !== 34);
  assert.deepEqual(last, expected);
});

test("a name without an app keeps its addresses until the range is full and a day has passed", () => {
  const clock = virtualClock();
  const assignments = table(1, { clock });
  const small = range("100.64.0.0/27");
  const given = Array.from({ length: 28 }, (_, i) => assignments.assign(`${i}.test`, small)!.v4);
  assignments.retain((host) => host !== "5.test");
  clock.advance(60_000);
  assignments.retain((host) => host !== "5.test" && host !== "6.test");
  clock.advance(ASSIGNMENT_QUARANTINE_MS - 60_001);
  assert.equal(assignments.assign("new.test", small), undefined, "in quarantine");
  assert.equal(assignments.list().length, 26);
  clock.advance(1);
  assert.deepEqual(assignments.assign("new.test", small)!.v4, given[5], "the one released for longest");
  assert.equal(assignments.hostAt(given[5]!), "new.test");
  assert.equal(assignments.assign("5.test", small), undefined);
  assert.deepEqual(assignments.assign("6.test", small)!.v4, given[6], "its own is still there");
  clock.advance(2 * ASSIGNMENT_QUARANTINE_MS);
  assert.equal(assignments.assign("new2.test", small), undefined, "6.test is in use again");
});

test("a released address is the last to be given to another", () => {
  const clock = virtualClock();
  const assignments = table(1, { clock });
  const small = range("100.64.0.0/27");
  const first = assignments.assign("first.test", small)!.v4;
  assignments.retain(() => false);
  clock.advance(2 * ASSIGNMENT_QUARANTINE_MS);
  for (let i = 0; i < 27; i++) assert.notDeepEqual(assignments.assign(`${i}.test`, small)!.v4, first);
  assert.deepEqual(assignments.assign("last.test", small)!.v4, first);
});

test("another run gives the same addresses, unless the range or the reserved ones have changed", () => {
  const clock = virtualClock();
  let changes = 0;
  const before = table(1, { clock, changed: () => changes++ });
  for (const host of ["a.test", "b.test", "c.test"]) before.assign(host, range("100.64.0.0/10"));
  before.assign("a.test", range("100.64.0.0/10"));
  assert.equal(changes, 3);
  before.retain((host) => host !== "c.test");
  assert.equal(changes, 4);
  const saved = before.save();
  const again = (more: Partial<AssignmentsOptions> = {}) => table(2, { clock, saved, ...more });
  const same = again();
  assert.deepEqual(same.save(), saved);
  for (const { host, v4 } of saved) assert.equal(formatIp(same.assign(host, range("100.64.0.0/10"))!.v4), v4);
  assert.match(formatIp(again().assign("a.test", range("10.0.0.0/24"))!.v4), /^10\.0\.0\./);
  const reserved = again({ reserved: [ip(saved[0]!.v4)] });
  assert.notEqual(formatIp(reserved.assign("a.test", range("100.64.0.0/10"))!.v4), saved[0]!.v4);
  clock.advance(ASSIGNMENT_FORGOTTEN_MS);
  assert.deepEqual(
    again()
      .save()
      .map(({ host }) => host),
    ["a.test", "b.test"],
  );
  const twice = table(3, {
    clock,
    saved: [...saved, { host: "d.test", v4: saved[0]!.v4 }, { host: "e.test", v4: "x" }],
  });
  assert.equal(twice.save().length, 2);
});

test("addresses start anywhere in the range", () => {
  const starts = new Set(
    [1, 2, 3, 4].map((seed) => formatIp(table(seed).assign("a.test", range("100.64.0.0/10"))!.v4)),
  );
  assert.ok(starts.size > 1);
});

test("ranges that VNet cannot use are none", () => {
  for (const bad of ["100.64.0.0/28", "fd00::/64", "100.64.0.0", "x"]) assert.equal(parseRange(bad), undefined, bad);
  assert.ok(parseRange("100.64.0.0/27"));
});

const cluster = (ipv4Cidr: string): ClusterView => ({
  profile: "p",
  cluster: "c",
  proxyHosts: [],
  zones: [],
  ipv4Cidr,
  apps: [],
});

test("the plan takes the first usable range, names each range once, and a random unique local prefix", () => {
  const plan = planAddresses(
    [
      cluster("bad"),
      cluster("192.168.2.0/24"),
      cluster("100.64.0.0/10"),
      cluster("100.100.0.0/16"),
      cluster("192.168.2.9/24"),
    ],
    () => Uint8Array.of(1, 2, 3, 4, 5),
  );
  assert.deepEqual(plan, {
    tunV4: "192.168.2.1",
    dnsV4: "192.168.2.2",
    tunV6: "fd01:203:405::1",
    dnsV6: "fd01:203:405::2",
    ranges: ["192.168.2.0/24", "100.64.0.0/10", "fd01:203:405::/64"],
  });
  assert.deepEqual(rangesOf([], plan.tunV6), ["100.64.0.0/10", "fd01:203:405::/64"]);
  // The TUN's own address lies in the first range, and names have addresses in all of them.
  assert.deepEqual(rangesOf([cluster("10.9.0.0/16"), cluster("100.96.0.0/12")], plan.tunV6, plan.ranges), [
    "192.168.2.0/24",
    "100.64.0.0/10",
    "10.9.0.0/16",
    "fd01:203:405::/64",
  ]);
  assert.equal(planAddresses([], seededRandom(1)).dnsV4, "100.64.0.2");
  const again = planAddresses([], seededRandom(1), plan.dnsV6);
  assert.deepEqual([again.tunV6, again.ranges[1]], [plan.tunV6, "fd01:203:405::/64"]);
});

test("own addresses agree with the slow reference for any range", () => {
  const own = new OwnAddresses(planAddresses([], () => Uint8Array.of(1, 2, 3, 4, 5)));
  const ranges = ["10.128.0.0/9", "192.168.2.0/27", "224.0.0.0/8"].map(range);
  own.setRanges(ranges);
  for (const text of [
    "10.127.255.255",
    "10.128.0.0",
    "10.255.255.255",
    "11.0.0.0",
    "192.168.2.31",
    "192.168.2.32",
    "224.1.2.3",
    "225.0.0.0",
  ]) {
    assert.equal(
      own.has(ip(text)),
      ranges.some((one) => cidrContains(one, ip(text))),
      text,
    );
  }
  for (const text of ["100.64.0.1", "100.64.0.2", "fd01:203:405::9", "fd01:203:405:0:ffff::"])
    assert.ok(own.has(ip(text)), text);
  for (const text of ["100.64.0.3", "fd01:203:405:1::", "fe80::1"]) assert.ok(!own.has(ip(text)), text);
  assert.deepEqual(
    ["100.64.0.1", "fd01:203:405::1", "100.64.0.2"].map((text) => own.isTun(ip(text))),
    [true, true, false],
  );
});
