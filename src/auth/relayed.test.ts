import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { AccessDeniedError, LimitExceededError } from "../api/mod.ts";
import { createCsr, generateKeyPair } from "../pki/mod.ts";
import { RpcClient, tcpDial } from "../rpc/mod.ts";
import { relayHeader } from "../tunnel/mod.ts";
import { MAX_FAILED_LOGINS_PER_ADDRESS, RELAY_SKEW_MS } from "./limits.ts";
import { TestAuth } from "./test-auth.ts";

let auth: TestAuth;
let hostId: string;
let key: Uint8Array;
before(async () => {
  auth = await TestAuth.start();
  const proxy = await auth.host("Proxy");
  hostId = proxy.hostId;
  key = Buffer.from((await proxy.call("proxy.relay_key", {})).key, "base64");
});
after(() => auth?.close());

/** A connection as a proxy relays it for `client`. */
function relayed(client: string, o: { timeMs?: number; hostId?: string } = {}): RpcClient {
  const header = { hostId, timeMs: Date.now(), client, ...o };
  return new RpcClient({
    async dial(signal) {
      const socket = await tcpDial(auth.service.listenAddress)(signal);
      socket.write(relayHeader.encodeRelayHeader(key, header));
      return socket;
    },
    trust: { hostCas: auth.hostCas },
  });
}

async function fail(client: RpcClient, user: string): Promise<void> {
  const csr = await createCsr(await generateKeyPair());
  await client.call("login.password", { user, password: "wrong", csr });
}

test("behind a proxy the audit log has the client's address", async () => {
  await using client = relayed("203.0.113.7:40000");
  await assert.rejects(fail(client, "nobody"), /invalid username/);
  const event = (await auth.events("user.login")).findLast(({ user }) => user === "nobody");
  assert.equal(event?.["addr.remote"], "203.0.113.7:40000");
});

test("failures count by the client's address, however many connections it makes, and not by the proxy's", async () => {
  for (let i = 0; i < MAX_FAILED_LOGINS_PER_ADDRESS; i++) {
    await using client = relayed(`203.0.113.8:${40_000 + i}`);
    await assert.rejects(fail(client, `u${i}`), /invalid username/);
  }
  await using same = relayed("203.0.113.8:50000");
  await assert.rejects(fail(same, "other"), (error) => {
    assert.ok(error instanceof LimitExceededError);
    assert.match(error.message, /from your address/);
    return true;
  });
  await using neighbour = relayed("203.0.113.9:40000");
  await assert.rejects(fail(neighbour, "other"), /invalid username/);
  await assert.rejects(fail(auth.client(), "other"), /invalid username/);
});

test("a header that is old, another proxy's, or a locked proxy's ends the connection", async () => {
  const admin = await auth.admin();
  for (const o of [{ timeMs: Date.now() - RELAY_SKEW_MS - 1_000 }, { hostId: randomUUID() }]) {
    await using client = relayed("203.0.113.7:1", o);
    await assert.rejects(client.call("cluster.ping", {}, { timeoutMs: 500 }), JSON.stringify(o));
  }
  const spec = { target: { server_id: hostId } };
  await admin.call("resource.create", { resource: { kind: "lock", version: "v2", metadata: { name: "l" }, spec } });
  await using locked = relayed("203.0.113.7:1");
  await assert.rejects(locked.call("cluster.ping", {}, { timeoutMs: 500 }));
  await admin.call("resource.delete", { kind: "lock", name: "l" });
  await using again = relayed("203.0.113.7:1");
  await again.call("cluster.ping", {});
});

test("the key is for proxies only, each its own, and the same after a restart", async () => {
  await assert.rejects((await auth.host("App")).call("proxy.relay_key", {}), AccessDeniedError);
  const other = await (await auth.host("Proxy")).call("proxy.relay_key", {});
  assert.notDeepEqual(Buffer.from(other.key, "base64"), key);
  await auth.restart();
  await using client = relayed("203.0.113.7:1");
  await client.call("cluster.ping", {});
});

test("what begins like nothing known is closed", async () => {
  const [, port] = auth.service.listenAddress.split(":");
  const socket = connect(Number(port), "127.0.0.1");
  socket.end(Buffer.from([0x91, 0, 0, 0, 0, 0, 0]));
  await new Promise((resolve) => socket.once("close", resolve).resume());
});
