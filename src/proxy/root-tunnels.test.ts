import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { Counters, silentLogger, systemClock } from "../base/mod.ts";
import { FakeView } from "../testkit/mod.ts";
import { RootTunnels } from "./root-tunnels.ts";
import type { PROXY_KINDS } from "./routes.ts";

const ROUTE = { sessionId: "0".repeat(32), app: "db", clientAddress: "192.0.2.1" };

async function routed(t: TestContext, isOfRoot: () => Promise<boolean>) {
  const counters = new Counters();
  const happened: string[] = [];
  const tunnels = new RootTunnels({
    clock: systemClock,
    log: silentLogger,
    counters,
    view: new FakeView<(typeof PROXY_KINDS)[number]>(),
    credentials: () => ({ certPem: "", keyPem: "", cluster: "leaf.test", hostCas: [] }),
    routes: { isOfRoot },
    tunnel: { forward: async (_socket, route, cluster) => void happened.push(`forward ${route.app} ${cluster}`) },
    api: { handle: () => happened.push("api") },
  });
  t.after(() => tunnels.close());
  await tunnels.route("root.test", { destroy: () => happened.push("destroyed") } as unknown as Socket, ROUTE);
  return { happened, refused: counters.get("root.unknown-session") };
}

test("a client that a root has sent goes on to an agent here only by a session of that root", async (t) => {
  assert.deepEqual((await routed(t, async () => true)).happened, ["forward db leaf.test"]);
  for (const answer of [async () => false, async () => Promise.reject(new Error("too late"))]) {
    assert.deepEqual(await routed(t, answer), { happened: ["destroyed"], refused: 1 });
  }
});
