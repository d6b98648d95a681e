import assert from "node:assert/strict";
import { test } from "node:test";
import { type ConnectedAgent, preferred } from "./agent-choice.ts";
import { SKIP_AGENT_MS } from "./limits.ts";

const NOW = 1_000_000;

function agent(hostId: string, o: Partial<ConnectedAgent> = {}): ConnectedAgent {
  return { hostId, clients: 0, failedAt: Number.NEGATIVE_INFINITY, ...o };
}

function host(hostId: string, healthy = true) {
  return { hostId, healthy };
}

function order(hosts: Parameters<typeof preferred>[0], connected: ConnectedAgent[]): string {
  return preferred(hosts, connected, NOW)
    .map((each) => `${each.hostId}${each.clients}`)
    .join(" ");
}

test("health comes before load, and load before chance", () => {
  const connected = [agent("a", { clients: 9 }), agent("b", { clients: 1 }), agent("c", { clients: 0 })];
  assert.equal(order([host("a"), host("b"), host("c")], connected), "c0 b1 a9");
  assert.equal(order([host("a"), host("b"), host("c", false)], connected), "b1 a9 c0");
  assert.equal(order([host("a", false), host("b", false), host("c", false)], connected), "c0 b1 a9");
});

test("one that lately failed comes after all others, and only for a while", () => {
  const failed = agent("a", { failedAt: NOW - SKIP_AGENT_MS + 1 });
  const other = agent("b", { clients: 50 });
  assert.equal(order([host("a"), host("b", false)], [failed, other]), "b50 a0");
  assert.equal(order([host("a")], [failed]), "a0", "without another it is asked all the same");
  assert.equal(order([host("a"), host("b")], [agent("a", { failedAt: NOW - SKIP_AGENT_MS }), other]), "a0 b50");
});

test("of a host that is here twice the newer one comes first", () => {
  const connected = [agent("a", { clients: 0 }), agent("a", { clients: 3 }), agent("b", { clients: 5 })];
  assert.equal(order([host("a"), host("b")], connected), "a3 b5 a0");
});

test("only hosts that serve the app and are connected", () => {
  assert.equal(order([host("a"), host("b")], [agent("b"), agent("c")]), "b0");
});

test("among equals each is the first now and then", () => {
  const firsts = new Set<string | undefined>();
  const hosts = ["a", "b", "c"].map((id) => host(id));
  const connected = ["a", "b", "c"].map((id) => agent(id));
  for (let i = 0; i < 200; i++) firsts.add(preferred(hosts, connected, NOW)[0]?.hostId);
  assert.equal(firsts.size, 3);
});
