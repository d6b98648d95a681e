import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { encodeUtf8 } from "../base/mod.ts";
import { type VirtualClock, virtualClock } from "../testkit/mod.ts";
import { type Backend, type Change, openMemory, openSqlite, storageKey, storagePrefix } from "./mod.ts";

interface Opened extends AsyncDisposable {
  backend: Backend;
  clock: VirtualClock;
}

const QUEUE = 4; // of each watcher here
const ENGINES: Readonly<Record<string, () => Opened>> = {
  memory() {
    const clock = virtualClock();
    const backend = openMemory({ clock, maxWatchQueue: QUEUE });
    return { backend, clock, [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose]() };
  },
  sqlite() {
    const clock = virtualClock();
    const dir = mkdtempSync(join(tmpdir(), "storage-"));
    const backend = openSqlite(join(dir, "sub", "sqlite.db"), { clock, maxWatchQueue: QUEUE });
    const dispose = async () => {
      await backend[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true });
    };
    return { backend, clock, [Symbol.asyncDispose]: dispose };
  },
};

/** One contract for every engine. */
function contract(name: string, run: (opened: Opened) => Promise<void>): void {
  for (const [engine, open] of Object.entries(ENGINES)) {
    test(`${engine}: ${name}`, async () => {
      await using opened = open();
      await run(opened);
    });
  }
}

const ONE = encodeUtf8("one");
const TWO = encodeUtf8("two");

contract("create, get, and create again", async ({ backend }) => {
  const revision = await backend.create("/a", ONE);
  assert.deepEqual(await backend.get("/a"), { key: "/a", value: ONE, revision });
  await assert.rejects(backend.create("/a", TWO), { code: "storage.key-exists", key: "/a" });
  assert.deepEqual((await backend.get("/a"))?.value, ONE);
  assert.equal(await backend.get("/b"), undefined);
});

contract("prolong moves an item's end, and nobody is told", async ({ backend, clock }) => {
  const now = clock.wallMs();
  const revision = await backend.put("/a", ONE, { expires: now + 1_000 });
  const stop = new AbortController();
  const changes = backend.watch("/", { signal: stop.signal })[Symbol.asyncIterator]();
  assert.equal(await backend.prolong("/a", now + 5_000), true);
  assert.equal(await backend.prolong("/b", now + 5_000), false);
  clock.advance(4_999);
  assert.deepEqual(await backend.get("/a"), { key: "/a", value: ONE, revision, expires: now + 5_000 });
  clock.advance(1);
  assert.equal(await backend.get("/a"), undefined);
  assert.equal(await backend.prolong("/a", now + 50_000), false, "what has lapsed is not woken");
  assert.deepEqual((await changes.next()).value, { type: "delete", key: "/a" }, "the first that is told");
  stop.abort();
});

contract("put creates and replaces; every write has its own revision", async ({ backend }) => {
  const first = await backend.put("/a", ONE);
  const second = await backend.put("/a", ONE);
  assert.notEqual(first, second);
  assert.equal((await backend.get("/a"))?.revision, second);
});

contract("update replaces only what was read", async ({ backend }) => {
  await assert.rejects(backend.update("/a", ONE, "r"), { code: "storage.key-not-found" });
  const first = await backend.create("/a", ONE);
  const second = await backend.update("/a", TWO, first);
  await assert.rejects(backend.update("/a", ONE, first), { code: "storage.stale-revision" });
  assert.deepEqual(await backend.get("/a"), { key: "/a", value: TWO, revision: second });
});

contract("of two updates of the same revision one wins", async ({ backend }) => {
  const revision = await backend.create("/a", ONE);
  const results = await Promise.allSettled([backend.update("/a", ONE, revision), backend.update("/a", TWO, revision)]);
  assert.deepEqual(
    results.map((result) => result.status),
    ["fulfilled", "rejected"],
  );
});

contract("of many creates at once one wins, and the others do not spoil it", async ({ backend }) => {
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => backend.create("/a", ONE)));
  assert.equal(results.filter((result) => result.status === "fulfilled").length, 1);
});

contract("delete, plain and conditional", async ({ backend }) => {
  assert.equal(await backend.delete("/a"), false);
  const revision = await backend.create("/a", ONE);
  await assert.rejects(backend.delete("/a", "other"), { code: "storage.stale-revision" });
  assert.equal(await backend.delete("/a", revision), true);
  assert.equal(await backend.get("/a"), undefined);
});

contract("range pages in the order of the keys' octets", async ({ backend }) => {
  const keys = ["/k/A", "/k/a", "/k/b", "/k/b/c", "/k/~", "/l/a", "/k"];
  for (const key of keys) await backend.put(key, ONE);
  const all = await backend.range("/k/");
  assert.deepEqual(
    all.map(({ key }) => key),
    ["/k/A", "/k/a", "/k/b", "/k/b/c", "/k/~"],
  );
  const pages: string[][] = [];
  for (let after: string | undefined; ; ) {
    const page = await backend.range("/k/", { limit: 2, ...(after === undefined ? {} : { after }) });
    if (page.length === 0) break;
    pages.push(page.map(({ key }) => key));
    after = page.at(-1)?.key;
  }
  assert.deepEqual(pages, [["/k/A", "/k/a"], ["/k/b", "/k/b/c"], ["/k/~"]]);
  assert.deepEqual((await backend.range("")).length, keys.length);
});

contract("wildcards of SQL are plain characters", async ({ backend }) => {
  for (const key of ["/%", "/_", "/'x"]) await backend.put(key, ONE);
  assert.deepEqual(
    (await backend.range("/%")).map(({ key }) => key),
    ["/%"],
  );
});

contract("values are copied both ways", async ({ backend }) => {
  const value = encodeUtf8("abc");
  const writing = backend.put("/a", value);
  await writing;
  value[0] = 0;
  const read = await backend.get("/a");
  read!.value[1] = 0;
  assert.deepEqual((await backend.get("/a"))?.value, encodeUtf8("abc"));
});

contract("an item is absent from the moment that it lapses", async ({ backend, clock }) => {
  await backend.put("/a", ONE, { expires: clock.wallMs() + 100 });
  await backend.put("/b", ONE, { expires: clock.wallMs() + 5000 });
  await backend.put("/c", ONE, { expires: clock.wallMs() + 100 });
  const revision = await backend.put("/c", TWO); // no longer lapses
  clock.advance(99);
  assert.equal((await backend.get("/a"))?.expires, clock.wallMs() + 1);
  clock.advance(1);
  assert.equal(await backend.get("/a"), undefined);
  await assert.rejects(backend.update("/a", TWO, "r"), { code: "storage.key-not-found" });
  assert.equal(await backend.delete("/a"), false);
  assert.deepEqual(
    (await backend.range("/")).map(({ key }) => key),
    ["/b", "/c"],
  );
  assert.equal((await backend.get("/c"))?.revision, revision);
  await backend.create("/a", TWO); // a lapsed item is in nobody's way
});

/** Reads changes until there are `count`. */
async function take(changes: AsyncIterator<Change>, count: number): Promise<string[]> {
  const out: string[] = [];
  while (out.length < count) {
    const { value, done } = await changes.next();
    if (done === true) break;
    out.push(value.type === "put" ? `put ${value.item.key} ${Buffer.from(value.item.value)}` : `delete ${value.key}`);
  }
  return out;
}

contract("a watch sees every change under its prefix from the moment of the call", async ({ backend, clock }) => {
  await backend.put("/k/before", ONE);
  const stop = new AbortController();
  const changes = backend.watch("/k/", { signal: stop.signal })[Symbol.asyncIterator]();
  await backend.create("/k/a", ONE);
  await backend.put("/other", ONE);
  await backend.create("/k/a", TWO).catch(() => {}); // no change, no event
  assert.deepEqual(await take(changes, 1), ["put /k/a one"]);
  const next = take(changes, 3); // waits
  await backend.put("/k/a", TWO, { expires: clock.wallMs() + 10 });
  await backend.delete("/k/before");
  clock.advance(1000); // an item that lapses is deleted
  assert.deepEqual(await next, ["put /k/a two", "delete /k/before", "delete /k/a"]);
  stop.abort();
  assert.equal((await changes.next()).done, true);
});

contract("a waiting watch ends with its signal, and with the backend", async ({ backend }) => {
  const stop = new AbortController();
  const first = backend.watch("/", { signal: stop.signal })[Symbol.asyncIterator]().next();
  const second = backend.watch("/", { signal: new AbortController().signal })[Symbol.asyncIterator]().next();
  stop.abort();
  assert.equal((await first).done, true);
  await backend[Symbol.asyncDispose]();
  assert.equal((await second).done, true);
  await assert.rejects(backend.get("/a"), { code: "storage.closed" });
  await assert.rejects(backend.put("/a", ONE), { code: "storage.closed" });
});

contract("a watcher that falls behind is told so, the others go on", async ({ backend }) => {
  const signal = new AbortController().signal;
  const slow = backend.watch("/", { signal })[Symbol.asyncIterator]();
  const fast = backend.watch("/", { signal })[Symbol.asyncIterator]();
  for (let i = 0; i <= QUEUE; i++) {
    await backend.put("/a", ONE);
    await take(fast, 1);
  }
  await assert.rejects(slow.next(), { code: "storage.watch-lagged" });
  assert.equal((await slow.next()).done, true);
  await backend.put("/b", TWO);
  assert.deepEqual(await take(fast, 1), ["put /b two"]);
});

contract("a bug of one caller does not fail the others", async ({ backend }) => {
  const good = backend.put("/a", ONE);
  await assert.rejects(async () => backend.put("/a b", ONE), { name: "AssertionFailed" });
  await good;
  assert.equal((await backend.range("/")).length, 1);
});

contract("any text may be part of a key", async ({ backend }) => {
  const names = ["é", "a/b", "a b", "\ud800", "..", "x".repeat(80)];
  for (const name of names) await backend.create(storageKey("user", name), ONE);
  assert.equal((await backend.range(storagePrefix("user"))).length, names.length);
  assert.equal(storageKey("user", "a/b"), "/user/a%2Fb");
});
