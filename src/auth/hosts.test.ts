import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { AccessDeniedError, BadInputError, type Proxy as ProxyResource, type Token } from "../api/mod.ts";
import { verifyChain } from "../pki/mod.ts";
import { joinCluster, type RpcClient } from "../rpc/mod.ts";
import { announce, appServer, CLUSTER, TestAuth, vnetConfig } from "./test-auth.ts";

let auth: TestAuth;
before(async () => {
  auth = await TestAuth.start();
});
after(() => auth?.close());

test("joining: the token's roles bound what a host becomes", async () => {
  const admin = await auth.admin();
  const token = (name: string, roles: Token["spec"]["roles"]): Token => ({
    kind: "token",
    version: "v2",
    metadata: { name },
    spec: { roles },
  });
  await admin.call("resource.create", { resource: token("app-secret", ["App"]) });
  const { ca_pins } = await admin.call("cluster.status", {});
  const hostId = randomUUID();
  const join = (name: string, roles: ("App" | "Proxy")[], pins: string[] = ca_pins) =>
    joinCluster({ dial: auth.dial, pins, token: name, roles, hostId, nodeName: "n1" });

  const joined = await join(" app-secret\n", ["App"]);
  assert.deepEqual(verifyChain(joined.certPem, joined.hostCas, Date.now()), {
    kind: "host",
    cluster: CLUSTER,
    hostId,
    roles: ["App"],
  });
  await announce(auth.client(joined), appServer(hostId, "joined-app"));
  await assert.rejects(join("app-secret", ["Proxy"]), /does not allow the role Proxy/);
  await assert.rejects(join("wrong", ["App"]), /not valid or has expired/);
  await assert.rejects(join("app-secret", ["App"], ["sha256:00"]), /CA pin/);
  const events = await auth.events("instance.join");
  assert.deepEqual(
    events.map((event) => event.code),
    ["TJ002I", "TJ002E", "TJ002E"],
  );
  assert.doesNotMatch(JSON.stringify(await auth.events("instance.join", "join_token.create")), /app-secret/);

  await auth.restart({ staticTokens: [{ token: "static", roles: ["App", "Proxy"] }] });
  assert.equal((await join("static", ["App", "Proxy"])).cluster, CLUSTER);
});

test("hosts write their own announcements only, which lapse by Auth's clock", async () => {
  const agent = await auth.host("App");
  const proxy = await auth.host("Proxy");
  const server = appServer(agent.hostId, "one");
  server.metadata.expires = "2001-01-01T00:00:00Z"; // a host whose clock is wrong
  const stored = await announce(agent, server);
  const lives = Date.parse(stored.metadata.expires ?? "") - Date.now();
  assert.ok(lives > 590_000 && lives <= 600_000);

  await assert.rejects(announce(agent, appServer(randomUUID(), "two")), /may not speak for/);
  await assert.rejects(announce(proxy, appServer(proxy.hostId, "two")), AccessDeniedError);
  await assert.rejects(announce(agent, vnetConfig("x.test")), AccessDeniedError);
  await assert.rejects(
    proxy.call("resource.delete", { kind: "app_server", name: stored.metadata.name }),
    AccessDeniedError,
  );
  for (const kind of ["user", "token"] as const) {
    await assert.rejects(agent.call("resource.list", { kind }), AccessDeniedError);
    await assert.rejects(proxy.call("resource.list", { kind }), AccessDeniedError);
  }
  await agent.call("resource.delete", { kind: "app_server", name: stored.metadata.name });
});

test("a public_addr belongs to one app and never to a proxy's name", async () => {
  const proxy = await auth.host("Proxy");
  const resource: ProxyResource = {
    kind: "proxy",
    version: "v1",
    metadata: { name: proxy.hostId },
    spec: { hostname: "p", version: "1", public_addrs: ["Proxy.test:443"], tunnel_public_addr: "10.0.0.1:443" },
  };
  await announce(proxy, resource);
  assert.deepEqual((await auth.client().call("cluster.ping", {})).proxies, ["Proxy.test:443"]);
  const [first, second] = [await auth.host("App"), await auth.host("App")];
  await announce(first, appServer(first.hostId, "shop", { addr: "shop.test" }));
  await announce(second, appServer(second.hostId, "shop", { addr: "shop.test" }));
  await assert.rejects(
    announce(second, appServer(second.hostId, "evil", { addr: "shop.test" })),
    /belongs to app "shop"/,
  );
  await assert.rejects(
    announce(second, appServer(second.hostId, "evil", { addr: "proxy.test" })),
    /belongs to a proxy/,
  );
  const events = (await auth.events("app.create")).filter((event) => event.server_id === second.hostId);
  assert.deepEqual(
    events.map((event) => [event.success, event.app_public_addr]),
    [
      [false, "shop.test"],
      [false, "proxy.test"],
    ],
  );
  const { url } = await (await auth.admin()).call("user.invite", { name: "link", roles: ["access"] });
  assert.match(url, /^https:\/\/Proxy\.test\/web\/invite\/[0-9a-f]{32}$/);
});

test("an agent reports only its own streams", async () => {
  const agent = await auth.host("App");
  const proxy = await auth.host("Proxy");
  const event = (o: object) => ({
    event: "app.session.end",
    ei: 0,
    uid: randomUUID(),
    code: "T2011I",
    time: new Date().toISOString(),
    cluster_name: CLUSTER,
    server_id: agent.hostId,
    sid: "ab".repeat(16),
    app_name: "db",
    bytes_in: 1,
    bytes_out: 2,
    ...o,
  });
  const emit = (host: RpcClient, o: object) => host.call("audit.emit", { events: [event(o)] as never });
  const uid = randomUUID();
  await emit(agent, { uid });
  await emit(agent, { uid }); // delivered twice by the spool
  assert.equal((await auth.events("app.session.end")).filter((e) => e.uid === uid).length, 1);
  await assert.rejects(emit(agent, { server_id: randomUUID() }), BadInputError);
  await assert.rejects(emit(agent, { cluster_name: "other" }), BadInputError);
  const login = { event: "user.login", code: "T1000I", method: "local" };
  const { sid: _, app_name: __, bytes_in: ___, bytes_out: ____, ...plain } = event(login);
  await assert.rejects(agent.call("audit.emit", { events: [plain] as never }), BadInputError);
  await assert.rejects(emit(proxy, {}), AccessDeniedError);
});
