import assert from "node:assert/strict";
import { test } from "node:test";
import { openMemory } from "../storage/mod.ts";
import { virtualClock } from "../testkit/mod.ts";
import { ResourceStore } from "./store.ts";
import { appServer } from "./test-auth.ts";

const HOST = "5b0f0f1e-9c51-4a3e-8a0c-2a8d7c3c1d11";

test("an announcement that says nothing new lives on without a word to anybody; news is told", async () => {
  const clock = virtualClock();
  await using backend = openMemory({ clock });
  const store = new ResourceStore(backend, clock);
  const announce = (uri?: string) => {
    const server = appServer(HOST, "db", uri === undefined ? {} : { uri });
    const expires = new Date(clock.wallMs() + 600_000).toISOString();
    return store.announce({ ...server, metadata: { ...server.metadata, expires } });
  };
  const first = await announce();
  const stop = new AbortController();
  const changes = store.watch(stop.signal)[Symbol.asyncIterator]();
  clock.advance(300_000);
  const again = await announce();
  assert.equal(again.metadata.revision, first.metadata.revision);
  assert.equal(Date.parse(again.metadata.expires!), clock.wallMs() + 600_000);
  assert.deepEqual(await store.get("app_server", `${HOST}.db`), again, "its end is the new one");
  const moved = await announce("tcp://elsewhere:5432");
  const told = (await changes.next()).value;
  assert.deepEqual(told, { type: "put", resource: moved });
  assert.notEqual(moved.metadata.revision, first.metadata.revision);
  clock.advance(600_000);
  assert.equal(await store.find("app_server", `${HOST}.db`), undefined);
  stop.abort();
});
