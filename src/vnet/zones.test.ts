import assert from "node:assert/strict";
import { test } from "node:test";
import type { AppView, ClusterView } from "./directory.ts";
import { describePorts, offersPort } from "./ports.ts";
import { tableOf, zonesOf } from "./zones.ts";

function app(publicAddr: string, protocol: AppView["protocol"] = "tcp"): AppView {
  return { name: publicAddr.split(".")[0]!, publicAddr, protocol, tcpPorts: [] };
}

function cluster(view: Partial<ClusterView>): ClusterView {
  return {
    profile: "teleport.example.com",
    cluster: "teleport.example.com",
    proxyHosts: ["teleport.example.com"],
    zones: [],
    ipv4Cidr: "100.64.0.0/10",
    apps: [],
    ...view,
  };
}

/** The cluster and address that a name leads to. */
function lookUp(host: string, ...clusters: Partial<ClusterView>[]): string | undefined {
  const target = tableOf(clusters.map(cluster))(host);
  return target && `${target.cluster.cluster} ${target.app.publicAddr}`;
}

test("a TCP app is served at a zone's own name and below it, at any depth, without regard to case or a final dot", () => {
  const view = {
    zones: ["Company.TEST.", "bar.qux.test"],
    apps: [
      app("Tcp-App.company.test"),
      app("deep.a.b.company.test."),
      app("company.test"),
      app("Qux.test"),
      app("evilcompany.test"),
      app("outside.test"),
      app("echo.teleport.example.com"),
      app("web.company.test", "http"),
    ],
  };
  const served = ["company.test", "tcp-app.company.test", "deep.a.b.company.test", "echo.teleport.example.com"];
  for (const host of served) assert.ok(lookUp(host, view), host);
  const notServed = [
    "bar.qux.test", // a zone's own name, at which no app is
    "qux.test",
    "evilcompany.test", // ends with the same letters
    "outside.test", // an app, but in no zone
    "web.company.test", // the real proxy's
    "unknown.company.test",
    "x.tcp-app.company.test",
    "",
  ];
  for (const host of notServed) assert.equal(lookUp(host, view), undefined, host);
});

test("a proxy's own name is never served, whatever zone it lies in and whoever claims it", () => {
  const hosts = ["teleport.example.com", "alt.example.com", "leaf.example.com"];
  const root = {
    zones: ["example.com"],
    proxyHosts: ["Teleport.example.com", "alt.example.com"],
    apps: hosts.map((h) => app(h)),
  };
  const leaf = { cluster: "leaf", proxyHosts: ["leaf.example.com."] };
  for (const host of hosts) assert.equal(lookUp(host, root, leaf), undefined, host);
  assert.equal(lookUp("teleport.example.com", { ...root, proxyHosts: [] }), undefined); // the profile's name alone is enough
});

test("the first cluster with an app at a name has it; TCP goes before web within a cluster", () => {
  const name = "app.company.test";
  const tcp = { zones: ["company.test"], apps: [app(name)] };
  const web = { zones: ["company.test"], apps: [app(name, "http")] };
  assert.equal(lookUp(name, { ...tcp, cluster: "one" }, { ...tcp, cluster: "two" }), `one ${name}`);
  assert.equal(lookUp(name, { ...web, cluster: "one" }, { ...tcp, cluster: "two" }), undefined);
  assert.equal(lookUp(name, { ...tcp, apps: [...web.apps, ...tcp.apps], cluster: "one" }), `one ${name}`);
  assert.equal(lookUp(name, { cluster: "one", apps: [app(name)] }, { ...tcp, cluster: "two" }), `two ${name}`); // one's has no zone
});

test("a leaf's app may stand one label below its root's proxy, no deeper", () => {
  const leaf = { cluster: "leaf", proxyHosts: ["leaf.example.org"] };
  assert.ok(lookUp("app.teleport.example.com", { ...leaf, apps: [app("app.teleport.example.com")] }));
  assert.equal(lookUp("a.b.teleport.example.com", { ...leaf, apps: [app("a.b.teleport.example.com")] }), undefined);
});

test("the zones to route are custom ones and proxies', each once", () => {
  const clusters = [
    cluster({ zones: ["Company.test.", "other.test"] }),
    cluster({ cluster: "leaf", zones: ["company.test", ""] }),
  ];
  assert.deepEqual(zonesOf(clusters), ["company.test", "other.test", "teleport.example.com"]);
});

test("ports: all where none are listed, else those in a range", () => {
  const any = app("a.test");
  const some: AppView = { ...any, tcpPorts: [{ port: 1337 }, { port: 4000, endPort: 4010 }] };
  assert.ok(offersPort(any, 1) && offersPort(any, 65535));
  const offered = [1336, 1337, 1338, 3999, 4000, 4005, 4010, 4011].filter((port) => offersPort(some, port));
  assert.deepEqual(offered, [1337, 4000, 4005, 4010]);
  assert.equal(describePorts(some), "1337, 4000-4010");
  const many = { ...any, tcpPorts: Array.from({ length: 11 }, (_, i) => ({ port: i + 1 })) };
  assert.equal(describePorts(many), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …");
});
