import assert from "node:assert/strict";
import { test } from "node:test";
import { openMemory } from "../storage/mod.ts";
import { virtualClock } from "../testkit/mod.ts";
import { AppServers } from "./app-servers.ts";
import { SERVER_INDEX_LIFE_MS } from "./limits.ts";
import { ResourceStore } from "./store.ts";
import { appServer } from "./test-auth.ts";

const HOST = "5b0f0f1e-9c51-4a3e-8a0c-2a8d7c3c1d11";
const OTHER = "77777777-9c51-4a3e-8a0c-2a8d7c3c1d11";

async function open() {
  const clock = virtualClock();
  const backend = openMemory({ clock });
  const store = new ResourceStore(backend, clock);
  return { clock, backend, store, servers: await AppServers.open({ backend, store, clock }) };
}

test("announced apps are found by name and address, among them only those that are still there", async () => {
  const { backend, store, servers } = await open();
  await servers.put(appServer(HOST, "db"));
  await servers.put(appServer(OTHER, "db"));
  await servers.put(appServer(HOST, "db2"));
  assert.equal((await servers.named("db")).length, 2);
  assert.equal((await servers.at("db.proxy.test")).length, 2);
  assert.deepEqual(await servers.named("d"), []);
  await store.delete("app_server", `${OTHER}.db`);
  assert.equal((await servers.named("db")).length, 1);
  await servers.put(appServer(HOST, "db", { addr: "Other.Proxy.Test" }));
  assert.deepEqual(await servers.at("db.proxy.test"), [], "it has moved");
  assert.equal((await servers.at("other.proxy.test")).length, 1);
  await backend[Symbol.asyncDispose]();
});

test("an entry lives as long as its app is announced, though heartbeats seldom write it", async () => {
  const { clock, backend, servers } = await open();
  const entries = async () => (await backend.range("/server_of_app/")).map(({ revision }) => revision);
  await servers.put(appServer(HOST, "db"));
  const first = await entries();
  clock.advance(SERVER_INDEX_LIFE_MS / 2 - 1);
  await servers.put(appServer(HOST, "db"));
  assert.deepEqual(await entries(), first);
  clock.advance(1);
  await servers.put(appServer(HOST, "db"));
  assert.notDeepEqual(await entries(), first);
  clock.advance(SERVER_INDEX_LIFE_MS - 1);
  assert.equal((await servers.named("db")).length, 1);
  clock.advance(1);
  assert.deepEqual(await entries(), [], "of what is announced no more nothing stays");
  await backend[Symbol.asyncDispose]();
});

test("what an older version announced is found after the first start", async () => {
  const { clock, backend, store } = await open();
  await backend.delete("/done/server_index");
  await store.upsert(appServer(HOST, "db"));
  const servers = await AppServers.open({ backend, store, clock });
  assert.equal((await servers.named("db")).length, 1);
  await backend[Symbol.asyncDispose]();
});
