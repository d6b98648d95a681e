import assert from "node:assert/strict";
import { test } from "node:test";
import { LEAF_VIEW, ROOT_VIEW } from "../testkit/mod.ts";
import type { ClusterView } from "./directory.ts";
import { type ExplainInput, explain } from "./explain.ts";
import { tableOf } from "./zones.ts";

const ROOT: ClusterView = { ...ROOT_VIEW, zones: ["company.test", "example.com", "qux.test"] };
const INPUT: ExplainInput = { clusters: [ROOT, LEAF_VIEW] };

/** Where it stops, or `served`, and what the last step says. */
function verdict(text: string, input: ExplainInput = INPUT): [string, string] {
  const { served, steps } = explain(text, input);
  const last = steps.at(-1)!;
  assert.equal(last.outcome === "stop", !served, text);
  assert.ok(steps.slice(0, -1).every(({ outcome }) => outcome !== "stop"));
  return [served ? "served" : last.step, last.detail];
}

const OFFERED = "1337, 4000-4010";

for (const [text, where, detail] of [
  ["echo.company.test", "served", "every port leads to the app's one target"],
  ["Echo.Company.TEST.:5432", "served", "every port leads to the app's one target"],
  ["multi.company.test", "served", OFFERED],
  ["multi.company.test:4005", "served", "4005 is a target port"],
  ["multi.company.test:80", "port", `80 is not among the target ports of the app: ${OFFERED}; a connection is refused`],
  ["echo.leaf.example.org", "served", "every port leads to the app's one target"],
  ["no name", "name", "not a host name: VNet asks such names upstream"],
  ["", "name", "not a host name: VNet asks such names upstream"],
  ["a..test", "name", "not a host name: VNet asks such names upstream"],
  [`${"a".repeat(64)}.test`, "name", "not a host name: VNet asks such names upstream"],
  ["echo.company.test:0", "name", "0 is not a port"],
  ["echo.company.test:65536", "name", "65536 is not a port"],
  ["echo.company.test:", "name", "nothing is not a port"],
  [
    "teleport.example.com:443",
    "carve-out",
    "teleport.example.com is a proxy of teleport.example.com: always asked upstream, so that the way to the cluster never leads through VNet",
  ],
  [
    "www.elsewhere.test",
    "zone",
    'in no zone of yours (company.test, example.com, qux.test, teleport.example.com, leaf.example.org): asked upstream; "tctl edit vnet_config" adds zones',
  ],
  [
    "unknown.company.test",
    "app",
    "no app that you may reach has the public_addr unknown.company.test in teleport.example.com (which shows 5 apps): asked upstream",
  ],
  [
    "web.company.test",
    "app",
    "web of teleport.example.com is a web app: its name leads to the real proxy, so the question goes upstream",
  ],
] as const) {
  test(`explain ${text.slice(0, 40) || "nothing"}: ${where}`, () => assert.deepEqual(verdict(text), [where, detail]));
}

test("every step is told, in order, with what was found", () => {
  const addressesOf = (host: string) => (host === "echo.company.test" ? ["192.168.2.9", "fd00::9"] : undefined);
  const { steps } = explain("echo.company.test:80", { ...INPUT, addressesOf });
  assert.deepEqual(
    steps.map(({ step, outcome, detail }) => `${step} ${outcome}: ${detail}`),
    [
      "carve-out ok: not a proxy's own name",
      "zone ok: company.test of teleport.example.com",
      "cluster ok: teleport.example.com; asked in the order teleport.example.com, leaf (by teleport.example.com)",
      "app ok: echo of teleport.example.com",
      "login ok: logged in to teleport.example.com",
      "address ok: 192.168.2.9, fd00::9",
      "port ok: every port leads to the app's one target",
    ],
  );
});

test("the order of clusters is shown where it decides", () => {
  const second = { ...ROOT, profile: "other.test", cluster: "other.test", proxyHosts: ["other.test"] };
  const { steps } = explain("echo.company.test", { clusters: [ROOT, second] });
  assert.equal(steps[1]!.detail, "company.test of teleport.example.com, then company.test of other.test");
  assert.equal(steps[2]!.detail, "teleport.example.com; asked in the order teleport.example.com, other.test");
  assert.equal(steps[3]!.detail, "echo of teleport.example.com; other.test has one too, but comes later");
});

test("an expired login waits; a range that cannot be used, and an app outside all zones, are told", () => {
  const { served, steps } = explain("echo.company.test", { clusters: [{ ...ROOT, loginExpired: true }] });
  const login = steps.find(({ step }) => step === "login")!;
  assert.deepEqual([served, login.outcome], [true, "wait"]);
  assert.deepEqual(verdict("echo.company.test", { clusters: [{ ...ROOT, ipv4Cidr: "10.0.0.0/30" }] }), [
    "address",
    "10.0.0.0/30 is not an IPv4 range that VNet can use: SERVFAIL",
  ]);
  assert.match(verdict("echo.company.test", { clusters: [{ ...ROOT, zones: [] }] })[1], /although .* has an app/);
  assert.deepEqual(verdict("a.test", { clusters: [] }), ["zone", "no cluster is known: not logged in anywhere"]);
});

test("roles, the route and what came of a connection are told where they stand on the way", () => {
  const base: ExplainInput = { clusters: [ROOT], rolesOf: () => ["access", "dev"] };
  const route = { ok: true, detail: "to vnet0" };
  const told = (input: Partial<ExplainInput>) =>
    explain("multi.company.test:1337", { ...base, ...input }).steps.map(({ step, outcome }) => `${step} ${outcome}`);
  const way = ["carve-out", "zone", "cluster", "app", "login", "role", "address", "route", "port", "agent", "target"];
  assert.deepEqual(
    told({ route, trial: { detail: "accepted" } }),
    way.map((step) => `${step} ok`),
  );
  for (const at of ["login", "role", "agent", "target"] as const) {
    assert.equal(told({ route, trial: { at, detail: "why" } }).at(-1), `${at} stop`);
    assert.deepEqual(verdict("multi.company.test:1337", { ...base, trial: { at, detail: "why" } }), [at, "why"]);
  }
  assert.equal(told({ route: { ok: false, detail: "to eth0" }, trial: { detail: "accepted" } }).at(-1), "route stop");
  assert.match(verdict("x.company.test", base)[1], /shows 5 apps to the roles access, dev\): asked upstream$/);
  assert.equal(explain("multi.company.test", base).target?.app.name, "multi");
  assert.equal(explain("x.company.test", base).target, undefined);
});

test("explain agrees with what VNet serves, for every name and order", () => {
  const labels = ["echo", "multi", "web", "deep.er", "teleport", "leaf", "x"];
  const zones = [
    "company.test",
    "example.com",
    "teleport.example.com",
    "leaf.example.org",
    "qux.test",
    "evilcompany.test",
  ];
  const hosts = [...zones, ...zones.flatMap((zone) => labels.map((label) => `${label}.${zone}`))];
  const web = { ...LEAF_VIEW, zones: ["company.test"], apps: [{ ...ROOT.apps[0]!, protocol: "http" as const }] };
  for (const clusters of [
    [],
    [ROOT, LEAF_VIEW],
    [LEAF_VIEW, ROOT],
    [web, ROOT],
    [ROOT, web],
    [{ ...ROOT, proxyHosts: [] }],
  ]) {
    const table = tableOf(clusters);
    for (const host of hosts) assert.equal(explain(host, { clusters }).served, table(host) !== undefined, host);
  }
});
