import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type AddressInfo, connect, createServer } from "node:net";
import { test } from "node:test";
import * as tls from "node:tls";
import { TLS_DEFAULTS } from "../pki/mod.ts";
import { AgentTunnel } from "./agent-tunnel.ts";
import { CONTROL_ALPN, hello } from "./control-wire.ts";
import { dataKey, encodeGreeting, GREETING_LEN } from "./data-wire.ts";
import { dialAppLink } from "./dial-app-link.ts";
import { clientTools, TestAuthority, TestProxy } from "./path-harness.ts";
import { connectTls } from "./tls-ends.ts";
import type { HostCredentials } from "./types.ts";

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 5000;
  while (!condition()) {
    assert.ok(performance.now() < end, "waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What a host with these credentials hears when it says hello. */
function sayHello(proxy: TestProxy, credentials: HostCredentials, line: string): Promise<string> {
  return new Promise((resolve) => {
    let heard = "";
    const socket = tls.connect({
      ...TLS_DEFAULTS,
      port: proxy.port,
      cert: credentials.certPem,
      key: credentials.keyPem,
      ALPNProtocols: [CONTROL_ALPN],
      rejectUnauthorized: false,
    });
    socket.on("data", (bytes) => {
      heard += String(bytes);
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(heard));
    socket.write(`${line}\n`);
  });
}

test("only agents of this cluster get a control connection", async () => {
  await using proxy = await TestProxy.start();
  const hello = '{"type":"hello","version":1,"software":"17.7.2","instance":"0000000000000001"}';
  const other = await TestAuthority.create();
  assert.equal(await sayHello(proxy, await proxy.authority.host("proxy-2", ["Proxy"]), hello), "");
  assert.equal(await sayHello(proxy, await other.host("agent-1", ["App"]), hello), "");
  const session = await proxy.session();
  assert.equal(await sayHello(proxy, { ...(await proxy.authority.host("x", ["App"])), ...session }, hello), "");
  const over = await proxy.authority.host("agent-1", ["App"], Date.now() - 60_000);
  assert.equal(await sayHello(proxy, over, hello), "", "its certificate has expired");
  assert.equal(proxy.counters.get("control.refused"), 4);
  assert.equal(proxy.tunnel.connectedAgents().length, 0);
});

test("a newer control protocol is refused with words", async () => {
  await using proxy = await TestProxy.start();
  const agent = await proxy.authority.host("agent-1", ["App"]);
  const heard = await sayHello(
    proxy,
    agent,
    '{"type":"hello","version":2,"software":"18","instance":"0000000000000001"}',
  );
  assert.match(heard, /control protocol 2 is not spoken here, only 1: update the older side/);
  const old = await sayHello(
    proxy,
    agent,
    '{"type":"hello","version":1,"software":"2.0.0","instance":"0000000000000001"}',
  );
  assert.match(old, /version 2\.0\.0 does not work with this cluster's .*: install version/);
  const broken = await sayHello(proxy, agent, '{"type":"hello"}');
  assert.match(broken, /control.hello/);
});

test("an agent does not follow a proxy whose certificate is not a proxy's", async () => {
  const authority = await TestAuthority.create();
  const fake = await authority.host("agent-9", ["App"]);
  const server = tls.createServer({
    ...TLS_DEFAULTS,
    cert: fake.certPem,
    key: fake.keyPem,
    ALPNProtocols: [CONTROL_ALPN],
  });
  server.on("secureConnection", (socket) => socket.on("error", () => {}));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const credentials = await authority.host("agent-1", ["App"]);
  const told = Promise.withResolvers<string>();
  const tunnel = new AgentTunnel({
    ...clientTools(),
    proxyAddress: `localhost:${(server.address() as AddressInfo).port}`,
    credentials: () => credentials,
    onRoute: () => assert.fail(),
    onState: (_state, detail) => told.resolve(detail),
  });
  assert.match(await told.promise, /its role is App/);
  await tunnel.close();
  server.close();
});

test("an agent that was cut comes back, and its relays went with its control connection", async () => {
  await using proxy = await TestProxy.start();
  const agent = await proxy.addAgent("agent-1");
  const { link } = await dialAppLink({ ...clientTools(), session: await proxy.session(), proxies: [proxy.address] });
  const before = proxy.tunnel.connectedAgents()[0]!;
  proxy.tunnel.cutHost("agent-1");
  assert.equal((await link.closed).closeCode, "carrier");
  await until(() => agent.tunnel.connected && proxy.tunnel.connectedAgents().length === 1);
  assert.notEqual(proxy.tunnel.connectedAgents()[0], before);
  const again = await dialAppLink({ ...clientTools(), session: await proxy.session(), proxies: [proxy.address] });
  again.link.close("shutdown");
});

test("clients beyond the idle connections wait for new ones", async () => {
  await using proxy = await TestProxy.start();
  await proxy.addAgent("agent-1");
  const links = await Promise.all(
    Array.from({ length: 24 }, async () => {
      const session = await proxy.session();
      return (await dialAppLink({ ...clientTools(), session, proxies: [proxy.address] })).link;
    }),
  );
  for (const link of links) link.close("shutdown");
});

test("an agent that does not answer ROUTE is left after a second for the next", async () => {
  await using proxy = await TestProxy.start();
  const credentials = await proxy.authority.host("agent-mute", ["App"]);
  const control = await connectTls({
    address: proxy.address,
    alpn: [CONTROL_ALPN],
    certPem: credentials.certPem,
    keyPem: credentials.keyPem,
    serverCas: credentials.hostCas,
    checkServerIdentity: () => undefined,
    timeoutMs: 5000,
    signal: new AbortController().signal,
  });
  const welcome = new Promise<string>((resolve) => control.once("data", (line) => resolve(String(line))));
  control.write(`${JSON.stringify(hello("00".repeat(8)))}\n`);
  const { controlId } = JSON.parse((await welcome).split("\n")[0]!) as { controlId: string };
  const mute = connect({ host: "127.0.0.1", port: proxy.port });
  mute.write(encodeGreeting(dataKey(control), { controlId, number: 1 }));
  const offered = new Promise<number>((resolve) => mute.once("data", (route) => resolve((route as Buffer).length)));
  const cut = new Promise((resolve) => mute.once("close", resolve));

  await proxy.addAgent("agent-2");
  proxy.agentIds = ["agent-mute", "agent-2"];
  proxy.unhealthy.add("agent-2"); // So the other is asked first.
  const { link, agent } = await dialAppLink({
    ...clientTools(),
    session: await proxy.session(),
    proxies: [proxy.address],
  });
  assert.ok((await offered) > 0);
  assert.equal(agent.hostId, "agent-2");
  await cut;
  link.close("shutdown");
  control.destroy();
});

test("a greeting counts once", async () => {
  await using proxy = await TestProxy.start();
  const greetings: Buffer[] = [];
  const tap = createServer({ allowHalfOpen: true }, (socket) => {
    socket.once("data", (bytes) => {
      if ((bytes as Buffer).length === GREETING_LEN) greetings.push(bytes as Buffer);
    });
    const upstream = connect({ host: "127.0.0.1", port: proxy.port, allowHalfOpen: true });
    for (const end of [socket, upstream]) end.on("error", () => {});
    socket.pipe(upstream).pipe(socket);
  });
  await new Promise<void>((resolve) => tap.listen(0, "127.0.0.1", resolve));
  const credentials = await proxy.authority.host("agent-1", ["App"]);
  const tunnel = new AgentTunnel({
    ...clientTools(),
    instance: randomBytes(8),
    proxyAddress: `localhost:${(tap.address() as AddressInfo).port}`,
    credentials: () => credentials,
    onRoute: () => assert.fail(),
  });
  await tunnel.ready;
  await until(() => greetings.length === 2);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const copy = connect(proxy.port, "127.0.0.1");
  copy.on("error", () => {});
  copy.write(greetings[0]!);
  await new Promise((resolve) => copy.once("close", resolve));
  assert.equal(proxy.counters.get("data.refused"), 1);
  await tunnel.close();
  tap.close();
});
