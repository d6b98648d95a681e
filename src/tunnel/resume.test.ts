import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type AddressInfo, connect, createServer } from "node:net";
import { test } from "node:test";
import { type ByteStream, plainChunk, sleep } from "../base/mod.ts";
import { LinkClosedError } from "../link/mod.ts";
import { type AppLink, dialAppLink } from "./dial-app-link.ts";
import { clientTools, type TestAgent, TestAuthority, TestProxy } from "./path-harness.ts";
import { relay } from "./relay.ts";

const KIB = 1024;

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

/** Sends and compares a little at a time until told to stop, then all that is left. */
class Pinger {
  readonly over: Promise<string>;
  rounds = 0;
  #stopping = false;
  #expected = Buffer.alloc(0);
  readonly #stream: ByteStream;

  constructor(stream: ByteStream) {
    this.#stream = stream;
    const over = Promise.withResolvers<string>();
    this.over = over.promise;
    stream.open({
      data: (chunk) => {
        const { length } = chunk.bytes;
        if (!this.#expected.subarray(0, length).equals(chunk.bytes)) over.resolve("wrong octets");
        this.#expected = this.#expected.subarray(length);
        stream.credit(length);
        chunk.release();
        if (this.#expected.length > 0) return;
        this.rounds++;
        if (this.#stopping) stream.end();
        else this.#send();
      },
      end: () => over.resolve("end"),
      reset: (reason) => over.resolve(reason),
      writable: () => this.rounds === 0 && this.#expected.length === 0 && this.#send(),
    });
    stream.credit(64 * KIB);
  }

  /** Octets have come back after this was called. */
  async moves(): Promise<void> {
    const before = this.rounds;
    const deadline = performance.now() + 8_000;
    while (this.rounds <= before + 1) {
      assert.ok(performance.now() < deadline, "nothing comes back");
      await sleep(10);
    }
  }

  stop(): Promise<string> {
    this.#stopping = true;
    return this.over;
  }

  #send(): void {
    const bytes = randomBytes(8 * KIB);
    this.#expected = bytes;
    this.#stream.write(plainChunk(bytes));
  }
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
  const streams = await Promise.all(Array.from({ length: 8 }, async () => new Pinger(await app.link.open(1))));
  await Promise.all(streams.map((stream) => stream.moves()));
  proxy.dropConnections();
  await Promise.all(streams.map((stream) => stream.moves()));
  for (const stream of streams) assert.equal(await stream.stop(), "end");
  app.link.close("done");
  assert.equal(agent.server.links, 1);
});
