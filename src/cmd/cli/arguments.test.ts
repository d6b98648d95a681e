import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIpv4Cidr } from "./arguments.ts";

test("--ipv4-cidr takes what VNet can use, written as usual", () => {
  for (const text of ["100.64.0.0/10", "10.0.0.0/8", "192.168.7.32/27"]) assert.equal(parseIpv4Cidr(text), text);
  for (const text of ["10.0.0.0/7", "10.0.0.0/28", "10.0.0.1/24", "10.0.0.0", "fd00::/64", "0.0.0.0/0", "x/8", ""]) {
    assert.throws(() => parseIpv4Cidr(text), { message: /^expected an IPv4 range of \/8 to \/27/ }, text);
  }
});
