import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer } from "node:net";
import { test } from "node:test";
import { DATA_ALPN } from "./data-wire.ts";
import { dialAppLink } from "./dial-app-link.ts";
import { clientTools, TestAuthority, TestProxy } from "./path-harness.ts";
import { Pinger } from "./pinger.ts";
import { relay } from "./relay.ts";
import { connectTls } from "./tls-ends.ts";

/** Lets pass what begins like TLS, and resets all else. */
async function startMiddlebox(port: number) {
  const state = { refused: 0, passed: 0, address: "", close: () => void server.close() };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    client.on("error", () => {});
    client.once("data", (first) => {
      client.pause();
      if (first[0] !== 0x16) {
        state.refused++;
        client.resetAndDestroy();
        return;
      }
      state.passed++;
      client.unshift(first);
      relay(client, connect({ host: "127.0.0.1", port, allowHalfOpen: true }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  state.address = `localhost:${(server.address() as AddressInfo).port}`;
  return state;
}

test("where only TLS passes data connections are nested in it, and links outlive those too", async () => {
  await using proxy = await TestProxy.start();
  const middlebox = await startMiddlebox(proxy.port);
  await proxy.addAgent("agent-1", { proxyAddress: middlebox.address });
  const app = await dialAppLink({
    ...clientTools(),
    session: await proxy.session(),
    proxies: [proxy.address],
    resume: true,
  });
  const streams = await Promise.all(Array.from({ length: 4 }, async () => new Pinger(await app.link.open(1))));
  await Promise.all(streams.map((stream) => stream.moves()));
  assert.ok(middlebox.refused >= 4 && middlebox.passed >= 2, JSON.stringify(middlebox));
  proxy.dropConnections();
  await Promise.all(streams.map((stream) => stream.moves()));
  for (const stream of streams) assert.equal(await stream.stop(), "end");
  app.link.close("done");
  middlebox.close();
});

test("a nested data connection needs an agent's certificate", async () => {
  await using proxy = await TestProxy.start();
  const stranger = await (await TestAuthority.create()).host("agent-1", ["App"]);
  const dialling = connectTls({
    ...stranger,
    address: proxy.address,
    alpn: [DATA_ALPN],
    serverCas: [proxy.authority.hostCa.certPem],
    checkServerIdentity: () => undefined,
    timeoutMs: 5_000,
    signal: new AbortController().signal,
  });
  // TLS 1.3: the client may think that it is connected until the proxy has looked.
  const socket = await dialling.catch(() => undefined);
  if (socket && !socket.destroyed) await new Promise((resolve) => socket.once("close", resolve).resume());
  assert.equal(proxy.counters.get("data.nested-refused"), 1);
});
