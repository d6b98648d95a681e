import assert from "node:assert/strict";
import { test } from "node:test";
import { cidrContains, cidrsOverlap, formatCidr, formatIp, parseCidr, parseIp } from "./ip.ts";

const cidr = (text: string) => {
  const parsed = parseCidr(text);
  assert(!("malformed" in parsed), text);
  return parsed;
};
const ip = (text: string) => {
  const parsed = parseIp(text);
  assert(!("malformed" in parsed), text);
  return parsed;
};

test("addresses are read strictly and printed canonically", () => {
  for (const [text, canonical] of [
    ["100.64.0.1", "100.64.0.1"],
    ["FD01:0:0:0::2", "fd01::2"],
    ["::ffff:1.2.3.4", "::ffff:102:304"],
  ] as const) {
    assert.equal(formatIp(ip(text)), canonical);
  }
  for (const bad of ["", "1.2.3", "01.2.3.4", "1.2.3.256", "0x7f.1.1.1", "fe80::1%eth0", "::1::", "example.com"]) {
    assert.ok("malformed" in parseIp(bad), bad);
  }
});

test("a CIDR clears host bits and knows what it contains", () => {
  assert.equal(formatCidr(cidr("100.127.255.255/10")), "100.64.0.0/10");
  assert.equal(formatCidr(cidr("10.0.0.1/32")), "10.0.0.1/32");
  assert.equal(formatCidr(cidr("10.0.0.1/0")), "0.0.0.0/0");
  assert.ok(cidrContains(cidr("100.64.0.0/10"), ip("100.127.255.255")));
  assert.ok(!cidrContains(cidr("100.64.0.0/10"), ip("100.128.0.0")));
  assert.ok(!cidrContains(cidr("100.64.0.0/10"), ip("fd00::1")));
  assert.ok(cidrsOverlap(cidr("100.64.0.0/10"), cidr("100.100.0.0/16")));
  assert.ok(cidrsOverlap(cidr("100.100.0.0/16"), cidr("100.64.0.0/10")));
  assert.ok(!cidrsOverlap(cidr("100.64.0.0/16"), cidr("100.65.0.0/16")));
  for (const bad of ["100.64.0.0", "100.64.0.0/33", "100.64.0.0/", "100.64.0.0/1e1", "x/8"]) {
    assert.ok("malformed" in parseCidr(bad), bad);
  }
});
