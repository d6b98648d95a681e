import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeDirectory, LEAF_VIEW } from "../testkit/mod.ts";
import { FreeRanges, freePart } from "./free-ranges.ts";

const taken = (...ranges: string[]) => ranges.map((range) => ({ range, by: "tailscale0 (table 52)" }));

test("the largest free part, the lowest of those of one size", () => {
  const table: [range: string, others: string[], free: string | undefined][] = [
    ["100.64.0.0/10", [], "100.64.0.0/10"],
    ["100.64.0.0/10", ["192.168.0.0/16", "10.0.0.0/8"], "100.64.0.0/10"],
    ["100.64.0.0/10", ["100.100.100.100/32"], "100.64.0.0/11"],
    ["100.64.0.0/10", ["100.70.0.1/32"], "100.96.0.0/11"],
    ["100.64.0.0/10", ["100.70.0.1/32", "100.100.100.100/32"], "100.80.0.0/12"],
    ["100.64.0.0/10", ["100.64.0.0/11", "100.96.0.0/12"], "100.112.0.0/12"],
    ["100.64.0.0/10", ["100.64.0.0/10"], undefined],
    ["10.9.0.0/16", ["10.0.0.0/8"], undefined],
    ["10.9.0.0/27", ["10.9.0.5/32"], undefined],
    ["not a range", [], undefined],
  ];
  for (const [range, others, free] of table) {
    assert.equal(freePart(range, taken(...others)), free, `${range} without ${others}`);
  }
});

test("as many scattered addresses as a large tailnet has leave a part, in little time", () => {
  const others = Array.from({ length: 2_000 }, (_, i) => `100.${64 + ((i * 5) % 63)}.${(i * 13) % 256}.${i % 256}/32`);
  assert.equal(freePart("100.64.0.0/10", taken(...others)), "100.127.0.0/16");
});

test("a directory's clusters keep to what is free, and the person is told once", () => {
  const lines: string[] = [];
  let others = taken("100.100.0.0/16", "100.101.0.0/16");
  const directory = new FakeDirectory();
  directory.view = [LEAF_VIEW];
  const free = new FreeRanges(directory, { taken: () => others, tell: (line) => lines.push(line) });
  const cidr = () => free.clusters()[0]?.ipv4Cidr;
  assert.deepEqual([cidr(), cidr()], ["100.64.0.0/11", "100.64.0.0/11"]);
  assert.deepEqual(lines, [
    "100.64.0.0/10 is in use on this host (100.100.0.0/16 by tailscale0 (table 52) and 1 more): VNet uses 100.64.0.0/11",
  ]);
  free.check();
  others = taken("100.64.0.0/10");
  assert.equal(cidr(), LEAF_VIEW.ipv4Cidr);
  assert.match(lines[1] ?? "", /, all of it: choose another range with --ipv4-cidr$/);
  assert.throws(() => free.check(), { code: "vnet.range-taken", message: lines[1] });
});

test("a range that the user names is all clusters' range", () => {
  const free = new FreeRanges(new FakeDirectory(), { taken: () => [], range: "10.99.0.0/16", tell: () => {} });
  assert.deepEqual(new Set(free.clusters().map(({ ipv4Cidr }) => ipv4Cidr)), new Set(["10.99.0.0/16"]));
});
