import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer } from "node:net";
import { test } from "node:test";
import { sleep } from "../base/mod.ts";
import { LinkClosedError } from "../link/mod.ts";
import { type AppLink, dialAppLink } from "./dial-app-link.ts";
import { clientTools, type TestAgent, TestAuthority, TestProxy } from "./path-harness.ts";
import { endsAfterLoss, Pinger } from "./pinger.ts";
import { relay } from "./relay.ts";

/** Two proxies of one cluster, one agent process that is connected to both, a client that may resume. */
async function place(
  proxies: TestProxy[],
  addresses = proxies.map(({ address }) => address),
): Promise<{ app: AppLink; agent: TestAgent }> {
  const [first, ...others] = proxies as [TestProxy, ...TestProxy[]];
  const agent = await first.addAgent("agent-1");
  for (const other of others) await agent.alsoTo(other);
  const session = await first.session(["agent-1"]);
  for (const other of others) other.know(session);
  const app = await dialAppLink({
    ...clientTools(),
    session,
    proxies: addresses,
    resume: true,
  });
  return { app, agent };
}

/** Leads each connection to the next proxy in turn, dead or alive, as a simple balancer does. */
async function startBalancer(proxies: TestProxy[]) {
  const ports = proxies.map(({ port }) => port);
  const state = { address: "", connections: 0, close: () => void server.close() };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    const port = ports[state.connections++ % ports.length]!;
    relay(client, connect({ host: "127.0.0.1", port, allowHalfOpen: true }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  state.address = `localhost:${(server.address() as AddressInfo).port}`;
  return state;
}

test("one of two proxies is killed: streams go on through the other", async () => {
  const authority = await TestAuthority.create();
  await using one = await TestProxy.start(authority);
  await using two = await TestProxy.start(authority);
  const { app } = await place([one, two]);
  assert.equal(app.proxy, one.address);
  const streams = await Promise.all(Array.from({ length: 8 }, async () => new Pinger(await app.link.open(1))));
  await Promise.all(streams.map((stream) => stream.moves()));
  one.kill();
  await Promise.all(streams.map((stream) => stream.moves()));
  for (const stream of streams) assert.equal(await stream.stop(), "end");
  app.link.close("done");
});

test("two proxies behind one address: whichever answers, and the other when that is killed", async () => {
  const authority = await TestAuthority.create();
  await using one = await TestProxy.start(authority);
  await using two = await TestProxy.start(authority);
  const balancer = await startBalancer([one, two]);
  const { app } = await place([one, two], [balancer.address]);
  const streams = await Promise.all(Array.from({ length: 4 }, async () => new Pinger(await app.link.open(1))));
  await Promise.all(streams.map((stream) => stream.moves()));
  one.kill(); // The first connection was its.
  await Promise.all(streams.map((stream) => stream.moves()));
  assert.ok(balancer.connections > 1, "the balancer has led to the dead one too");
  for (const stream of streams) assert.equal(await stream.stop(), "end");
  app.link.close("done");
  balancer.close();
});

test("the control connection of an agent is lost: its relays end, its links do not", async () => {
  await using proxy = await TestProxy.start();
  const { app } = await place([proxy]);
  const stream = new Pinger(await app.link.open(1));
  await stream.moves();
  proxy.dropConnections(); // All of them, the agent's too; the port stays.
  await stream.moves();
  assert.equal(await stream.stop(), "end");
  app.link.close("done");
});

test("a draining agent takes its clients back, and no new ones", async () => {
  await using proxy = await TestProxy.start();
  const { app, agent } = await place([proxy]);
  const stream = new Pinger(await app.link.open(1));
  await stream.moves();
  agent.tunnel.drain();
  agent.server.drain();
  proxy.dropConnections();
  await stream.moves();
  assert.equal(app.link.draining, true);
  assert.equal(await stream.stop(), "end");
  assert.equal((await app.link.closed).closeCode, "done");
});

test("a session that ends while its link has no connection: the client hears of it when it comes back", async () => {
  await using proxy = await TestProxy.start();
  const { app, agent } = await place([proxy]);
  const stream = new Pinger(await app.link.open(1));
  await stream.moves();
  proxy.dropConnections();
  agent.server.endSession([...proxy.sessions.keys()][0]!, "logged out");
  assert.notEqual(await stream.over, "end");
  const end = await app.link.closed;
  assert.ok(end instanceof LinkClosedError && ["gone", "session-ended"].includes(end.closeCode), end.closeCode);
});

test("up to four connections share the streams, and each comes back by itself", async () => {
  await using proxy = await TestProxy.start();
  const agent = await proxy.addAgent("agent-1", { linkSettings: () => ({ resumeMs: 60_000, transports: 4 }) });
  const app = await dialAppLink({
    ...clientTools(),
    session: await proxy.session(),
    proxies: [proxy.address],
    resume: true,
  });
  const deadline = performance.now() + 8_000;
  while (app.link.stateOf(3) !== "attached") {
    assert.ok(performance.now() < deadline);
    await sleep(10);
  }
  assert.deepEqual(await endsAfterLoss(app, proxy, 8), Array(8).fill("end"));
  app.link.close("done");
  assert.equal(agent.server.links, 1);
});
