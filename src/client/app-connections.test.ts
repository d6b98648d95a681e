import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { silentLogger } from "../base/mod.ts";
import { StreamUser, startTestCluster, type TestCluster, type TestLogin } from "../testkit/mod.ts";
import { AppConnections } from "./app-connections.ts";
import { ownSessions } from "./app-sessions.ts";

const APP = { name: "echo", publicAddr: "echo.localhost" };
const NEVER = new AbortController().signal;

let cluster: TestCluster;
let alice: TestLogin;
before(async () => {
  cluster = await startTestCluster();
  await cluster.createUser("alice", "correct horse battery");
  alice = await cluster.login("alice", "correct horse battery");
});
after(async () => {
  await alice.client.close();
  await cluster[Symbol.asyncDispose]();
});

/** Connections, and what tells them that the network has changed. */
function connect() {
  const state = { changed: () => {}, watched: 0 };
  const connections = new AppConnections({
    sessions: ownSessions(alice.client),
    proxyAddress: cluster.proxyAddress,
    log: silentLogger,
    watchNetwork: (changed) => {
      state.changed = changed;
      state.watched++;
      return () => state.watched--;
    },
  });
  return { connections, state };
}

async function echoes(user: StreamUser): Promise<void> {
  const length = user.received.length;
  user.send(Uint8Array.of(1, 2, 3));
  await user.until(length + 3);
}

test("the proxy restarts: open streams go on, and a new one made meanwhile waits for it", async () => {
  const { connections } = connect();
  const user = new StreamUser(await connections.dial(APP, 0, NEVER));
  await echoes(user);
  await cluster.proxy.close();
  const meanwhile = connections.dial(APP, 0, NEVER);
  await cluster.startProxy();
  await echoes(user);
  await echoes(new StreamUser(await meanwhile));
  await connections.close();
  assert.notEqual(await user.closed, "end");
});

test("with no way back in sight a new connection is refused in time, and the open ones wait on", async () => {
  const { connections } = connect();
  const user = new StreamUser(await connections.dial(APP, 0, NEVER));
  await echoes(user);
  await cluster.proxy.close();
  const started = performance.now();
  await assert.rejects(connections.dial(APP, 0, NEVER));
  assert.ok(performance.now() - started < 15_000, "long before the links give up");
  await cluster.startProxy();
  await echoes(user);
  await connections.close();
});

test("a change of the network is told to the links, until the end", async () => {
  const { connections, state } = connect();
  const user = new StreamUser(await connections.dial(APP, 0, NEVER));
  state.changed();
  await echoes(user);
  assert.equal(state.watched, 1);
  await connections.close();
  assert.equal(state.watched, 0);
});
