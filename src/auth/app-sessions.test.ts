import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BadInputError, NotFoundError, type User } from "../api/mod.ts";
import { createCsr, generateKeyPair, identityOf } from "../pki/mod.ts";
import type { RpcClient, WatchEventOf } from "../rpc/mod.ts";
import { announce, appServer, CLUSTER, newCsr, PASSWORD, role, TestAuth } from "./test-auth.ts";

let auth: TestAuth;
before(async () => {
  auth = await TestAuth.start();
  await auth.createUser("alice", ["access"]);
  await auth.createUser("ed", ["editor"]);
});
after(() => auth?.close());

test("app session: certificate, agents, route key for proxies only, renewal, end", async () => {
  const agent = await auth.host("App");
  const proxy = await auth.host("Proxy");
  const other = await auth.host("App");
  const server = appServer(agent.hostId, "db", { labels: { env: "prod" } });
  await announce(agent, server);
  await announce(other, appServer(other.hostId, "db2"));
  const alice = await auth.login("alice", PASSWORD, 600);
  const atProxy = proxy.watch(["app_session"]);
  const atAgent = agent.watch(["app_session"]);
  while ((await atProxy.next()).value?.type !== "init");
  while ((await atAgent.next()).value?.type !== "init");

  const answer = await alice.call("app_session.create", { app: "db", csr: await newCsr() });
  assert.deepEqual(answer.agents, [{ host_id: agent.hostId }]);
  const identity = identityOf(answer.cert);
  assert.ok("kind" in identity && identity.kind === "app");
  assert.deepEqual(identity.route, {
    app: "db",
    publicAddr: "db.proxy.test",
    cluster: CLUSTER,
    sessionId: answer.session_id,
  });
  assert.ok(Date.parse(answer.expires) - Date.now() <= 600_000, "not beyond the login");
  const seen = async (events: AsyncIterator<WatchEventOf<"app_session">>) => {
    const { value } = await events.next();
    assert.ok(value?.type === "put");
    return (value.resource as { spec: { route_key?: string } }).spec.route_key;
  };
  assert.equal(await seen(atProxy), answer.route_key);
  assert.equal(Buffer.from(answer.route_key, "base64").length, 32);
  assert.equal(await seen(atAgent), undefined, "agents get no route key");
  const { resources: own } = await alice.call("resource.list", { kind: "app_session" });
  assert.doesNotMatch(JSON.stringify(own), /route_key/);

  const longer = await auth.as("alice");
  const renewed = await longer.call("app_session.renew", { session_id: answer.session_id, csr: await newCsr() });
  assert.equal(renewed.route_key, answer.route_key);
  assert.ok(Date.parse(renewed.expires) - Date.now() > 3_500_000, "as long as the newer login allows, up to 1 h");
  await announce(other, appServer(other.hostId, "db"));
  const { agents } = await alice.call("app_session.agents", { session_id: answer.session_id });
  assert.deepEqual(agents.map((a) => a.host_id).sort(), [agent.hostId, other.hostId].sort());

  await auth.createUser("mel", ["access"]);
  const mel = await auth.login("mel");
  await assert.rejects(
    mel.call("app_session.renew", { session_id: answer.session_id, csr: await newCsr() }),
    NotFoundError,
  );
  await mel.call("app_session.end", { session_id: answer.session_id }); // not hers: nothing happens
  await alice.call("app_session.agents", { session_id: answer.session_id });

  await alice.call("app_session.end", {});
  await assert.rejects(alice.call("app_session.agents", { session_id: answer.session_id }), /has ended/);
  let ended: unknown;
  while (ended !== answer.session_id) {
    const { value } = await atProxy.next();
    if (value?.type === "delete") ended = value.name;
  }
  const [start] = (await auth.events("app.session.start")).filter((event) => event.sid === answer.session_id);
  assert.deepEqual([start?.code, start?.user, start?.app_name], ["T2007I", "alice", "db"]);
  await atProxy.return?.(undefined);
  await atAgent.return?.(undefined);
});

test("app sessions are refused for apps that are not there, not allowed, or not TCP, and an app certificate opens no API", async () => {
  const agent = await auth.host("App");
  await announce(agent, appServer(agent.hostId, "secret", { labels: { team: "x" } }));
  await announce(agent, appServer(agent.hostId, "page", { uri: "http://localhost" }));
  const [alice, ed] = [await auth.as("alice"), await auth.as("ed")];
  const open = async (who: RpcClient, app: string) => who.call("app_session.create", { app, csr: await newCsr() });
  const missing = await open(ed, "nothing").catch((error: Error) => error);
  const denied = await open(ed, "secret").catch((error: Error) => error);
  assert.ok(missing instanceof NotFoundError && denied instanceof NotFoundError);
  assert.equal(denied.message, missing.message.replace("nothing", "secret"));
  const [event] = (await auth.events("app.session.start")).filter((e) => e.app_name === "secret");
  assert.equal(event?.code, "T2007E");
  await assert.rejects(open(alice, "page"), BadInputError);
  await assert.rejects(alice.call("app_session.create", { app: "secret", csr: "x" }), BadInputError);

  const keys = await generateKeyPair();
  const { cert } = await alice.call("app_session.create", { app: "secret", csr: await createCsr(keys) });
  const byRoute = auth.client({ certPem: cert, keyPem: keys.keyPem });
  await assert.rejects(byRoute.call("cluster.ping", {}), /app certificate/);
});

test("sessions end when the user's or role's change takes the app away", async () => {
  const admin = await auth.admin();
  const agent = await auth.host("App");
  await announce(agent, appServer(agent.hostId, "green", { labels: { team: "green" } }));
  await admin.call("resource.create", { resource: role("green-only", { team: "green" }) });
  await auth.createUser("gus", ["green-only", "auditor"]);
  const gus = await auth.login("gus");
  const open = async () => (await gus.call("app_session.create", { app: "green", csr: await newCsr() })).session_id;
  const alive = async (session_id: string) =>
    gus.call("app_session.agents", { session_id }).then(
      () => true,
      () => false,
    );

  const first = await open();
  await admin.call("resource.upsert", { resource: role("green-only", { team: "*" }) });
  assert.equal(await alive(first), true, "a change that leaves the app leaves the session");
  await admin.call("resource.upsert", { resource: role("green-only", { team: "red" }) });
  assert.equal(await alive(first), false);
  await admin.call("resource.upsert", { resource: role("green-only", { team: "green" }) });
  const second = await open();
  const { resource } = await admin.call("resource.get", { kind: "user", name: "gus" });
  const user = resource as User;
  await admin.call("resource.update", { resource: { ...user, spec: { ...user.spec, roles: ["auditor"] } } });
  assert.equal(await alive(second), false);
});
