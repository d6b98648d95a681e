import assert from "node:assert/strict";
import { test } from "node:test";
import { type App, appServerSchema } from "../api/mod.ts";
import { tunnelAddresses } from "./proxies.ts";
import { type AgentDescription, appServerOf, staleServers, withPublicAddr } from "./registration.ts";

const HOST_ID = "5f0c9a4e-3b6f-4a53-8f8e-0d2f6d1a7c11";

function app(name: string, spec: Partial<App["spec"]> = {}): App {
  return {
    kind: "app",
    version: "v3",
    metadata: { name, labels: { env: "dev" } },
    spec: { uri: "tcp://localhost:1", ...spec },
  };
}

function agent(...proxyAddrs: string[]): AgentDescription {
  return { hostId: HOST_ID, hostname: "db1", cluster: "example.com", proxyAddrs };
}

test("an app without public_addr is named after the proxy's host, else after the cluster", () => {
  const address = (a: AgentDescription, own?: string) =>
    withPublicAddr(app("tcp-app", own === undefined ? {} : { public_addr: own }), a).spec.public_addr;
  assert.equal(address(agent("teleport.example.com:443")), "tcp-app.teleport.example.com");
  assert.equal(address(agent("Teleport.Example.com:3080", "b.test:1")), "tcp-app.teleport.example.com");
  assert.equal(
    address(agent("127.0.0.1:3080", "[::1]:3080", "b.test:443")),
    "tcp-app.b.test",
    "addresses name nothing",
  );
  assert.equal(address(agent()), "tcp-app.example.com");
  assert.equal(address(agent("127.0.0.1:3080")), "tcp-app.example.com");
  assert.equal(address(agent("p.test:443"), "tcp-app.company.test"), "tcp-app.company.test");
  assert.equal(address(agent("p.test:443"), ""), "tcp-app.p.test");
});

test("an announcement is a valid app_server with labels and an end", () => {
  const server = appServerOf(withPublicAddr(app("tcp-app"), agent()), agent(), Date.parse("2027-01-01T00:00:00Z"));
  assert.deepEqual(appServerSchema.parse(server), server);
  assert.equal(server.metadata.name, `${HOST_ID}.tcp-app`);
  assert.deepEqual(server.metadata.labels, { env: "dev" });
  assert.equal(server.metadata.expires, "2027-01-01T00:00:00.000Z");
});

test("only this host's announcements of apps that are gone are stale", () => {
  const other = { ...agent(), hostId: "another" };
  const announced = [
    appServerOf(app("kept"), agent(), 0),
    appServerOf(app("gone"), agent(), 0),
    appServerOf(app("gone"), other, 0),
  ];
  assert.deepEqual(staleServers(announced, HOST_ID, [app("kept"), app("new")]), [`${HOST_ID}.gone`]);
});

test("control connections go to each proxy's own address; a lone proxy is where the configuration says", () => {
  const proxy = (tunnel: string, ...addrs: string[]) => ({
    kind: "proxy" as const,
    version: "v1" as const,
    metadata: { name: tunnel },
    spec: { hostname: "p", version: "1", public_addrs: addrs, tunnel_public_addr: tunnel },
  });
  const near = "10.0.0.1:3080";
  assert.deepEqual(tunnelAddresses([], near), [near]);
  assert.deepEqual(tunnelAddresses([proxy("p.test:443", "p.test:443")], near), [near]);
  assert.deepEqual(tunnelAddresses([proxy("", "p.test:443")], near), [near]);
  assert.deepEqual(tunnelAddresses([proxy("tunnel.test:443", "p.test:443")], near), ["tunnel.test:443"]);
  const both = [proxy("b.test:443", "p.test:443"), proxy("a.test:443", "p.test:443")];
  assert.deepEqual(tunnelAddresses(both, near), ["a.test:443", "b.test:443"]);
});
