import assert from "node:assert/strict";
import { test } from "node:test";
import { hostFacts, type IpOutput } from "./facts.ts";

// As iproute2 6.1 prints them, shortened; Tailscale's peers stand in its own table.
const OUTPUT: IpOutput = {
  addresses: `[{"ifname":"lo","addr_info":[{"local":"127.0.0.1"}]},{"ifname":"eth0","addr_info":[{"local":"192.168.1.5"}]},
    {"ifname":"tsh-vnet","addr_info":[{"local":"100.64.0.1"}]}]`,
  routes: [
    `[{"dst":"default","gateway":"192.168.1.1","dev":"eth0"},
      {"dst":"0.0.0.0/1","dev":"tun0"},{"dst":"64.0.0.0/2","dev":"wg0","table":"51820"},
      {"dst":"192.168.1.0/24","dev":"eth0"},{"dst":"100.96.1.2","dev":"tailscale0","table":"52"},
      {"type":"unreachable","dst":"10.8.0.0/16"},
      {"dst":"172.20.0.0/16","nexthops":[{"gateway":"192.168.1.2","dev":"eth0"}],"table":"main"},
      {"dst":"100.64.0.0/10","dev":"tsh-vnet","table":"30318"},{"type":"unreachable","dst":"100.64.0.0/10","table":"30318"},
      {"type":"local","dst":"192.168.1.5","dev":"eth0","table":"local"}]`,
    `[{"dst":"default","gateway":"fe80::1","dev":"eth0"},{"dst":"fd00::/8","dev":"wg0"}]`,
  ],
  rules: `[{"priority":0,"src":"all","table":"local"},{"priority":100,"src":"all","dst":"10.9.0.0","dstlen":24,"table":"7"},
    {"priority":5190,"src":"all","dst":"100.64.0.2","table":"30318","protocol":"176"}]`,
  resolvers: ["192.168.1.1"],
  ipv6: true,
};

test("addresses and gateways of the host, ours left out", () => {
  const facts = hostFacts("tsh-vnet", OUTPUT);
  assert.deepEqual(facts.addresses, ["127.0.0.1", "192.168.1.5"]);
  assert.deepEqual(facts.gateways, ["192.168.1.1", "192.168.1.2", "fe80::1"]);
  assert.deepEqual([facts.resolvers, facts.ipv6], [["192.168.1.1"], true]);
});

test("taken ranges of every table and rule, with their owner; ways to the Internet are none", () => {
  assert.deepEqual(
    hostFacts("tsh-vnet", OUTPUT).taken.map(({ range, by }) => `${range} by ${by}`),
    [
      "192.168.1.0/24 by eth0",
      "100.96.1.2/32 by tailscale0 (table 52)",
      "10.8.0.0/16 by a route",
      "172.20.0.0/16 by eth0",
      "192.168.1.5/32 by eth0",
      "10.9.0.0/24 by the routing rule 100",
    ],
  );
});

test("a family that is switched off prints nothing", () => {
  const facts = hostFacts("tsh-vnet", { ...OUTPUT, addresses: "", routes: ["", ""], rules: "" });
  assert.deepEqual([facts.addresses, facts.gateways, facts.taken], [[], [], []]);
});
