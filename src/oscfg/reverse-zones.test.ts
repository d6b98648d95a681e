import assert from "node:assert/strict";
import { test } from "node:test";
import { reverseZones } from "./reverse-zones.ts";

test("whole labels are one zone", () => {
  assert.deepEqual(reverseZones("10.0.0.0/8"), ["10.in-addr.arpa"]);
  assert.deepEqual(reverseZones("192.168.0.0/16"), ["168.192.in-addr.arpa"]);
  assert.deepEqual(reverseZones("192.0.2.0/24"), ["2.0.192.in-addr.arpa"]);
  assert.deepEqual(reverseZones("fd12:3456:789a:1::/64"), ["1.0.0.0.a.9.8.7.6.5.4.3.2.1.d.f.ip6.arpa"]);
});

test("between labels there is one for each value, and none more", () => {
  assert.deepEqual(reverseZones("198.18.0.0/15"), ["18.198.in-addr.arpa", "19.198.in-addr.arpa"]);
  const shared = reverseZones("100.64.0.0/10");
  assert.deepEqual([shared.length, shared[0], shared.at(-1)], [64, "64.100.in-addr.arpa", "127.100.in-addr.arpa"]);
  const small = reverseZones("192.0.2.32/27");
  assert.deepEqual([small.length, small[0], small.at(-1)], [32, "32.2.0.192.in-addr.arpa", "63.2.0.192.in-addr.arpa"]);
  assert.deepEqual(reverseZones("fd00::/15"), ["0.0.d.f.ip6.arpa", "1.0.d.f.ip6.arpa"]);
});

test("what is no range has none", () => assert.deepEqual(reverseZones("company.test"), []));
