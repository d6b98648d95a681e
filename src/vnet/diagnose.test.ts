import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../base/mod.ts";
import { type DiagTools, diagnose } from "./diagnose.ts";
import type { VnetStatus } from "./status.ts";

const DNS = ["100.64.0.2", "fd01::2"];
const STATUS: VnetStatus = {
  version: 1,
  pid: 1,
  tsh_version: "1",
  kind: "host",
  started: "2026-01-01T00:00:00Z",
  device: { name: "vnet0", mtu: 1500 },
  addresses: { tun: ["100.64.0.1", "fd01::1"], dns: DNS },
  resolver: { manager: "systemd-resolved" },
  taken: [{ range: "172.17.0.0/16", by: "docker0" }],
  upstreams: [{ address: "192.0.2.53", failed: false }],
  clusters: [
    {
      profile: "teleport.example.com",
      cluster: "teleport.example.com",
      login: "valid",
      zones: ["company.test"],
      proxies: ["teleport.example.com", "localhost", "192.0.2.9"],
      ipv4_cidr: "100.64.0.0/10",
      apps: [],
    },
  ],
  names: [{ host: "db.company.test", v4: "100.64.0.9", v6: "fd01::6440:9" }],
  apps: [],
  connections: [],
  counters: {},
};

/** A machine where everything is as it should be. */
const GOOD: DiagTools = {
  random: seededRandom(1),
  device: async () => ({ up: true, addresses: ["100.64.0.1", "fd01::1"] }),
  routeTo: async (address, device) => ({ ok: true, detail: `the kernel sends ${address} to ${device}` }),
  lookupAt: async () => [DNS[0]!],
  lookup: async (_name, family) => [DNS[family === 4 ? 0 : 1]!],
};

const found = async (status: Partial<VnetStatus> = {}, tools: Partial<DiagTools> = {}) =>
  diagnose({ ...STATUS, ...status }, { ...GOOD, ...tools });
const wrong = async (status: Partial<VnetStatus> = {}, tools: Partial<DiagTools> = {}) =>
  (await found(status, tools)).filter(({ ok }) => !ok);

test("all that is looked at, where nothing is wrong", async () => {
  const all = await found();
  assert.deepEqual(
    all.map(({ check, subject, ok }) => `${ok ? "ok" : "wrong"} ${check} ${subject}`),
    [
      "ok device vnet0",
      "ok route 100.64.0.2",
      "ok route fd01::2",
      "ok route 100.64.0.0/10",
      "ok conflict 100.64.0.0/10",
      "ok dns-server 100.64.0.2 udp",
      "ok dns-server 100.64.0.2 tcp",
      "ok dns-server fd01::2 udp",
      "ok dns-server fd01::2 tcp",
      "ok resolver systemd-resolved",
      "ok zone company.test",
      "ok zone teleport.example.com",
      "ok upstream 192.0.2.53",
      "ok login teleport.example.com",
    ],
  );
});

test("each thing that is wrong is told, with what to do", async () => {
  const silent = () => Promise.reject(new Error("no answer within 2 s"));
  const cases: [string, RegExp, Partial<VnetStatus>, Partial<DiagTools>][] = [
    ["device", /is not there/, {}, { device: async () => undefined }],
    ["device", /is down/, {}, { device: async () => ({ up: false, addresses: [] }) }],
    ["device", /lost its address 100\.64\.0\.1/, {}, { device: async () => ({ up: true, addresses: ["fd01::1"] }) }],
    ["route", /to eth0/, {}, { routeTo: async () => ({ ok: false, detail: "to eth0" }) }],
    [
      "conflict",
      /100\.64\.0\.0\/10 is used by tailscale0/,
      { taken: [{ range: "100.64.0.0/10", by: "tailscale0" }] },
      {},
    ],
    ["dns-server", /no answer within 2 s/, {}, { lookupAt: silent }],
    ["dns-server", /somebody else answers/, {}, { lookupAt: async () => ["203.0.113.1"] }],
    ["resolver", /keeps changing/, { resolver: { manager: "file", note: "somebody keeps changing it" } }, {}],
    ["resolver", /nobody tells/, { resolver: { manager: "none" } }, {}],
    ["zone", /does not ask VNet for it/, {}, { lookup: async () => [] }],
    ["zone", /somebody else answers, with 203\.0\.113\.1/, {}, { lookup: async () => ["203.0.113.1"] }],
    ["zone", /no answer/, {}, { lookup: silent }],
    ["upstream", /did not answer/, { upstreams: [{ address: "192.0.2.53", failed: true }] }, {}],
    ["upstream", /no DNS server/, { upstreams: [] }, {}],
    ["login", /has expired/, { clusters: [{ ...STATUS.clusters[0]!, login: "expired" }] }, {}],
  ];
  for (const [check, detail, status, tools] of cases) {
    const findings = await wrong(status, tools);
    assert.ok(findings.length > 0 && findings.every((each) => each.check === check), `${check} ${detail}`);
    assert.match(findings[0]!.detail, detail);
    assert.ok(
      findings.every(({ advice }) => advice),
      `${check} has no advice`,
    );
  }
});

test("where VNet's server cannot be asked the zones are not either; of a command's network only VNet's own view is told", async () => {
  const all = await found({}, { lookupAt: () => Promise.reject(new Error("x")), lookup: () => assert.fail("asked") });
  assert.ok(!all.some(({ check }) => check === "zone"));
  const exec = await found({ kind: "exec" }, { device: () => assert.fail("asked") });
  assert.deepEqual(
    exec.map(({ check }) => check),
    ["login", "upstream"],
  );
});
