import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { after, before, test } from "node:test";
import type { App } from "../api/mod.ts";
import { exchange, startTestCluster, type TestCluster, type TestLogin } from "../testkit/mod.ts";

const PASSWORD = "correct horse battery staple";
/** From `tctl create` to the app's being served. */
const SERVED_WITHIN_MS = 5_000;

let cluster: TestCluster;
let alice: TestLogin;
let port = 0;
const echo = createServer({ allowHalfOpen: true }, (socket) => void socket.pipe(socket));

before(async () => {
  echo.listen(0, "127.0.0.1");
  await once(echo, "listening");
  port = (echo.address() as AddressInfo).port;
  cluster = await startTestCluster({ selectors: [{ team: "red" }] });
  await cluster.createUser("alice", PASSWORD);
  alice = await cluster.login("alice", PASSWORD);
});

after(async () => {
  echo.close();
  await alice?.client.close();
  await cluster?.[Symbol.asyncDispose]();
});

function app(labels: Record<string, string>, publicAddr: string): App {
  const spec = { uri: `tcp://127.0.0.1:${port}`, public_addr: publicAddr };
  return { kind: "app", version: "v3", metadata: { name: "fresh", labels }, spec };
}

/** Waits for the change, and says how long it took. */
async function until(events: AsyncIterator<unknown>, is: (event: Event) => boolean): Promise<number> {
  const started = performance.now();
  for (;;) {
    const { value } = (await events.next()) as { value: Event };
    if (is(value)) return performance.now() - started;
  }
}

type Event = { type: string; name?: string; resource?: { spec: { app: App } } };
const at = (address: string) => (event: Event) => event.resource?.spec.app.spec.public_addr === address;

test("an app that an administrator creates is served by the agent that chooses it, follows its changes, and goes", async () => {
  await using admin = await cluster.adminClient();
  const events = alice.client.watch(["app_server"]);
  await until(events, (event) => event.type === "init");
  await admin.call("resource.create", { resource: app({ team: "red" }, "fresh.company.test") });
  const took = await until(events, at("fresh.company.test"));
  assert.ok(took < SERVED_WITHIN_MS, `${took} ms`);

  const { session } = await cluster.appSession(alice, "fresh");
  const { link } = await cluster.dialLink(session);
  assert.deepEqual(await exchange(await link.open(0), Buffer.from("hello")), Buffer.from("hello"));
  link.close("done");

  await admin.call("resource.upsert", { resource: app({ team: "red" }, "other.company.test") });
  await until(events, at("other.company.test"));
  await admin.call("resource.upsert", { resource: app({ team: "blue" }, "other.company.test") });
  await until(events, (event) => event.type === "delete" && event.name?.endsWith(".fresh") === true);
  await assert.rejects(cluster.appSession(alice, "fresh"), /not found/);
  await admin.call("resource.upsert", { resource: app({ team: "red" }, "other.company.test") });
  await until(events, at("other.company.test"));
  await admin.call("resource.delete", { kind: "app", name: "fresh" });
  await until(events, (event) => event.type === "delete" && event.name?.endsWith(".fresh") === true);
  const written = await cluster.auditEvents(["app.create", "app.update", "app.delete"]);
  assert.deepEqual(
    written.map((event) => event.code),
    ["TAP03I", "TAP04I", "TAP04I", "TAP04I", "TAP05I"],
  );
});
