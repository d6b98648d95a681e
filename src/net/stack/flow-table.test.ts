import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../base/mod.ts";
import { put32 } from "../wire/mod.ts";
import { type Flow, FlowTable, localOf, makeTuple, remoteOf, tupleOf } from "./flow-table.ts";

const idle = { segment() {}, shutdown() {}, nextFlow: undefined };

function flow(n: number, v6 = false): Flow {
  const tuple = new Uint8Array(v6 ? 36 : 12);
  put32(tuple, 0, Math.imul(n, 2_654_435_761) >>> 0);
  put32(tuple, tuple.length - 4, n);
  return { ...idle, tuple };
}

test("a tuple is what a packet says, and gives its endpoints back", () => {
  const remote = { address: Uint8Array.of(10, 0, 0, 1), port: 40_000 };
  const local = { address: Uint8Array.of(10, 0, 0, 2), port: 443 };
  const tuple = makeTuple(remote, local);
  assert.deepEqual(remoteOf(tuple), remote);
  assert.deepEqual(localOf(tuple), local);
  const packet = new Uint8Array(100);
  packet.set(tuple.subarray(0, 8), 30);
  packet.set(tuple.subarray(8), 60);
  assert.deepEqual(tupleOf(packet, 30, 4, 60), tuple);
});

test("flows that share a hash are told apart, and removed one by one", () => {
  const table = new FlowTable(seededRandom(3));
  // So many that several pairs share one of the 2^30 chains.
  const flows = Array.from({ length: 120_000 }, (_, i) => flow(i));
  for (const each of flows) table.add(each);
  const shared = flows.filter((each) => each.nextFlow !== undefined);
  assert.ok(shared.length > 0, "this seed has no collision: use more flows");
  const second = shared.map((each) => each.nextFlow!);
  for (const each of flows) assert.equal(table.get(each.tuple), each);
  for (const each of second) assert.ok(table.remove(each));
  for (const each of shared) assert.equal(table.get(each.tuple), each);
  for (const each of second) table.add(each);
  for (const each of shared) assert.ok(table.remove(each));
  for (const each of second) assert.equal(table.get(each.tuple), each);
  assert.equal(table.remove(shared[0]!), false);
  assert.equal(table.size, flows.length - shared.length);
  assert.equal(table.all().length, table.size);
});

test("IPv4 and IPv6 flows do not meet", () => {
  const table = new FlowTable(seededRandom(3));
  const [a, b] = [flow(1), flow(1, true)];
  table.add(a);
  table.add(b);
  assert.equal(table.get(a.tuple), a);
  assert.equal(table.get(b.tuple), b);
  assert.equal(table.get(flow(2, true).tuple), undefined);
});
