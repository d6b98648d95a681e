import assert from "node:assert/strict";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { type AppLink, dialAppLink } from "./dial-app-link.ts";
import { clientTools, TestAuthority, TestProxy } from "./path-harness.ts";
import { relay } from "./relay.ts";

/** A link of a session of its own. */
async function dial(proxy: TestProxy): Promise<AppLink> {
  return dialAppLink({ ...clientTools(), session: await proxy.session(), proxies: [proxy.address] });
}

function count(links: readonly AppLink[], hostId: string): number {
  return links.filter(({ agent }) => agent.hostId === hostId).length;
}

test("links are spread over agents by load, also those that come at once", async () => {
  await using proxy = await TestProxy.start();
  for (const id of ["agent-1", "agent-2"]) await proxy.addAgent(id);
  const first = await Promise.all(Array.from({ length: 10 }, () => dial(proxy)));
  assert.deepEqual([count(first, "agent-1"), count(first, "agent-2")], [5, 5]);

  // Four of one agent's five end: the next four are its.
  const ending = first.filter(({ agent }) => agent.hostId === "agent-1").slice(0, 4);
  for (const { link } of ending) link.close("done");
  await new Promise((resolve) => setTimeout(resolve, 50));
  const next: AppLink[] = [];
  for (let i = 0; i < 4; i++) next.push(await dial(proxy));
  assert.equal(count(next, "agent-1"), 4);
  for (const { link } of [...first, ...next]) link.close("done");
});

test("an agent that says its app is down is asked only where there is no other", async () => {
  await using proxy = await TestProxy.start();
  const good = await proxy.addAgent("agent-1");
  await proxy.addAgent("agent-2");
  proxy.unhealthy.add("agent-2");
  const links = await Promise.all(Array.from({ length: 4 }, () => dial(proxy)));
  assert.equal(count(links, "agent-1"), 4);
  for (const { link } of links) link.close("done");
  await good.close();
  const { link, agent } = await dial(proxy);
  assert.equal(agent.hostId, "agent-2");
  link.close("done");
});

test("an agent that stopped answering is waited for once, then skipped", async () => {
  await using proxy = await TestProxy.start();
  const way = await Way.to(proxy.port);
  await proxy.addAgent("agent-1", { proxyAddress: `localhost:${way.port}` });
  await proxy.addAgent("agent-2");
  const before = await Promise.all([dial(proxy), dial(proxy)]);
  way.block(); // Not noticed for seconds: its control connection stands.
  const waits: number[] = [];
  const links: AppLink[] = [];
  for (let i = 0; i < 6; i++) {
    const started = performance.now();
    links.push(await dial(proxy));
    waits.push(performance.now() - started);
  }
  assert.equal(count(links, "agent-2"), 6);
  const long = waits.filter((ms) => ms > 700);
  assert.equal(long.length, 1, `waited ${waits.map(Math.round).join(", ")} ms`);
  assert.equal(proxy.counters.get("route.agent-failed"), 1);
  for (const { link } of [...before, ...links]) link.close("done");
  way.close();
});

/** A way to the proxy that can be blocked: octets are taken no more, nothing is closed. */
class Way {
  readonly #server;
  readonly #sockets: Socket[] = [];

  private constructor(port: number) {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      const onward = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
      this.#sockets.push(socket, onward);
      relay(socket, onward);
    });
  }

  static async to(port: number): Promise<Way> {
    const way = new Way(port);
    await new Promise<void>((resolve) => way.#server.listen(0, "127.0.0.1", resolve));
    return way;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  block(): void {
    for (const socket of this.#sockets) socket.pause();
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

test("an agent renews its control connection before it gives up the old one, which keeps its clients", async () => {
  await using proxy = await TestProxy.start();
  const next = await TestAuthority.create();
  const { credentials: own } = proxy;
  const credentials = await proxy.authority.host("agent-1", ["App"]);
  const renewing = await proxy.addAgent("agent-1", { credentials });
  await proxy.addAgent("agent-2");
  const dial = async (hostId: string) => {
    const hostCas = [proxy.authority.hostCa.certPem, next.hostCa.certPem];
    const session = { ...(await proxy.session([hostId])), hostCas };
    proxy.agentIds = [hostId];
    return dialAppLink({ ...clientTools(), session, proxies: [proxy.address] });
  };
  const [kept, lost] = [await dial("agent-1"), await dial("agent-2")];

  own.hostCas = [proxy.authority.hostCa.certPem, next.hostCa.certPem];
  Object.assign(credentials, await next.host("agent-1", ["App"]), { hostCas: own.hostCas });
  await renewing.tunnel.renew();
  const both = proxy.tunnel.connectedAgents().map(({ hostId }) => hostId);
  assert.ok(both.includes("agent-1"), `${both}`);
  own.hostCas = [next.hostCa.certPem];
  proxy.tunnel.reviewAgents();

  await lost.link.closed; // Nobody vouches for the second agent any more.
  assert.deepEqual(
    proxy.tunnel.connectedAgents().map(({ hostId }) => hostId),
    ["agent-1"],
  );
  assert.equal(kept.link.ended, false);
  const fresh = await dial("agent-1");
  assert.equal(kept.link.ended, false, "by the connection of before");
  for (const { link } of [kept, fresh]) link.close("shutdown");
});
