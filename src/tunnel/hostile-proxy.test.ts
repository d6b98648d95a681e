/** A proxy that lets through what it should not: the agent's and the client's own checks hold without it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { test } from "node:test";
import { dialAppLink } from "./dial-app-link.ts";
import { UntrustedAgentError } from "./errors.ts";
import { clientTools, TestProxy } from "./path-harness.ts";

// Beyond the proxy's own replay check: the octets reach the agent as those of a new client.
test("all that a client sent, given to the agent again, makes no link", async () => {
  await using proxy = await TestProxy.start();
  let opened = 0;
  const agent = await proxy.addAgent("agent-1", {
    onOpen(request) {
      opened++;
      request.refuse("port", "");
    },
  });
  const sent: Buffer[] = [];
  const tap = createServer({ allowHalfOpen: true }, (client) => {
    const onward = connect({ host: "127.0.0.1", port: proxy.port, allowHalfOpen: true });
    for (const socket of [client, onward]) socket.on("error", () => {});
    client.on("data", (octets: Buffer) => sent.push(Buffer.from(octets)));
    client.pipe(onward).pipe(client);
  }).listen(0, "127.0.0.1");
  await once(tap, "listening");
  const session = await proxy.session();
  const address = `localhost:${(tap.address() as AddressInfo).port}`;
  const { link } = await dialAppLink({ ...clientTools(), session, proxies: [address] });
  await assert.rejects(link.open(1), { refusal: "port" });
  link.close("done");
  await link.closed;
  tap.close();
  assert.equal(opened, 1);
  assert.ok(Buffer.concat(sent).length > 2_000, "ClientHello, certificate, frames");

  const direct = createServer({ allowHalfOpen: true }, (socket) => {
    agent.server.accept(socket, { sessionId: session.sessionId, app: "tcp-app", clientAddress: "192.0.2.1" });
  }).listen(0, "127.0.0.1");
  await once(direct, "listening");
  const again = connect((direct.address() as AddressInfo).port, "127.0.0.1");
  again.on("error", () => {});
  again.resume();
  for (const octets of sent) again.write(octets);
  await once(again, "close");
  direct.close();
  assert.equal(agent.counters.get("link.handshake"), 1);
  assert.equal(opened, 1, "no OPEN was taken from it");
});

test("a client that is led to the agent of another app stops before its certificate", async () => {
  await using proxy = await TestProxy.start();
  const seen: string[] = [];
  await proxy.addAgent("agent-other", {
    authorize({ identity }) {
      seen.push(identity.user);
      return undefined;
    },
  });
  const session = await proxy.session(["agent-1"]); // What Auth said; the proxy routes elsewhere.
  const dialing = dialAppLink({ ...clientTools(), session, proxies: [proxy.address] });
  await assert.rejects(dialing, UntrustedAgentError);
  assert.deepEqual(seen, []);
});
