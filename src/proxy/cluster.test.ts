import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { after, before, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { sleep } from "../base/mod.ts";
import { exchange, startTestCluster, TEST_CLUSTER, type TestCluster, tcpApp } from "../testkit/mod.ts";
import { LINK_ALPN, RouteCounters } from "../tunnel/mod.ts";

const PASSWORD = "correct horse battery staple";

let cluster: TestCluster;

before(async () => {
  cluster = await startTestCluster({
    apps: [tcpApp("web", "http://127.0.0.1:1", { public_addr: "web.example.test" })],
  });
});

after(() => cluster?.[Symbol.asyncDispose]());

async function ask(path: string, o: { method?: string; host?: string; type?: string; body?: string } = {}) {
  const { port, webCertPem } = cluster.proxy;
  const outgoing = request({
    host: "127.0.0.1",
    port,
    path,
    method: o.method ?? "GET",
    servername: "localhost",
    ca: webCertPem,
    headers: { Host: o.host ?? `localhost:${port}`, ...(o.type && { "Content-Type": o.type }) },
    agent: false,
  });
  outgoing.end(o.body);
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  let text = "";
  for await (const part of response) text += part;
  return { status: response.statusCode, headers: response.headers, text };
}

test("ping tells how to log in, trust whom to trust", async () => {
  const ping = JSON.parse((await ask("/webapi/ping")).text);
  assert.deepEqual([ping.auth.type, ping.auth.second_factor], ["local", "off"]);
  assert.equal(ping.proxy.ssh.public_addr, `localhost:${cluster.proxy.port}`);
  const trust = JSON.parse((await ask("/webapi/trust")).text);
  assert.equal(trust.cluster_name, TEST_CLUSTER);
  assert.match(trust.host_cas[0], /BEGIN CERTIFICATE/);
});

test("an invited user sets a password with the form and logs in through the relay", async () => {
  await using admin = await cluster.adminClient();
  const { token, url } = await admin.call("user.invite", { name: "carol", roles: ["access"] });
  assert.equal(url, `https://localhost:${cluster.proxy.port}/web/invite/${token}`);
  const path = new URL(url).pathname;
  assert.match((await ask(path)).text, /<b>carol<\/b>/);

  const post = (password: string) =>
    ask(path, {
      method: "POST",
      type: "application/x-www-form-urlencoded",
      body: new URLSearchParams({ password, confirm: password }).toString(),
    });
  const short = await post("short");
  assert.equal(short.status, 400);
  assert.match(short.text, /<form/);
  assert.equal((await post(PASSWORD)).status, 200);
  const login = await cluster.login("carol", PASSWORD);
  await login.client.close();

  assert.equal((await post(PASSWORD)).status, 404, "an invitation is good for once");
  const unknown = await ask("/webapi/users/password/token/0123456789abcdef");
  assert.equal(unknown.status, 404);
  assert.equal(typeof JSON.parse(unknown.text).error.message, "string");
});

test("a web app's host gets a page that says what is missing", async () => {
  const answer = await ask("/", { host: "web.example.test" });
  assert.equal(answer.status, 501);
  assert.match(answer.text, /does not serve web apps yet/);
  assert.ok(answer.headers["strict-transport-security"]);
});

test("links without the session's key, or with a token that was used, wake no agent", async () => {
  await cluster.createUser("dave", PASSWORD);
  const dave = await cluster.login("dave", PASSWORD);
  const { session } = await cluster.appSession(dave, "echo");
  await assert.rejects(cluster.dialLink({ ...session, routeKey: randomBytes(32) }), { code: "tunnel.session-unknown" });

  const { link } = await cluster.dialLink(session);
  // Counters from the start again: each one that was used is refused, the next is tried.
  const again = await cluster.dialLink(session, { routes: new RouteCounters() });
  assert.equal((await exchange(await again.link.open(0), new Uint8Array(10))).length, 10);
  again.link.close("done");
  link.close("done");
  await dave.client.close();
});

test("an unknown session's ClientHello is held for two seconds, in case its news is late, and refused", async () => {
  const token = `r1.${randomBytes(48).fill(0, 24, 32).toString("base64url")}`; // counter 0
  const started = performance.now();
  const socket = connectTls({
    host: "127.0.0.1",
    port: cluster.proxy.port,
    servername: "localhost",
    ALPNProtocols: [LINK_ALPN, token],
    rejectUnauthorized: false,
  });
  await assert.rejects(once(socket, "secureConnect"), { code: /ALERT|SSL/ });
  const heldMs = performance.now() - started;
  assert.ok(heldMs > 1_900 && heldMs < 3_000, `held for ${heldMs} ms`);
});

test("draining waits for open links, then ends", async () => {
  await cluster.createUser("frank", PASSWORD);
  const frank = await cluster.login("frank", PASSWORD);
  const { session } = await cluster.appSession(frank, "echo");
  const { link } = await cluster.dialLink(session);
  await frank.client.close();
  let over = false;
  const drained = cluster.proxy.drain(10_000).then(() => {
    over = true;
  });
  await sleep(300);
  assert.equal(over, false);
  assert.equal((await exchange(await link.open(0), new Uint8Array(10))).length, 10, "an open link goes on");
  link.close("done");
  await drained;
});
