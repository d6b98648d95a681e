import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type AuditEvent, BadInputError } from "../api/mod.ts";
import { silentLogger } from "../base/mod.ts";
import { virtualClock } from "../testkit/mod.ts";
import { auditEvent, openSpool, SPOOL_BACKOFF_MS, SPOOL_BATCH, type Spool } from "./mod.ts";

const ABOUT = { cluster_name: "c", server_id: "s" };
const clock = virtualClock();

function pathFor(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "spool-"));
  t.after(() => rmSync(dir, { recursive: true }));
  return join(dir, "spool", "events.log");
}

function open(path: string, maxBytes?: number): Promise<Spool> {
  return openSpool({ path, clock, log: silentLogger, about: ABOUT, ...(maxBytes === undefined ? {} : { maxBytes }) });
}

function event(name: string): AuditEvent {
  return auditEvent("app.session.start", { ...ABOUT, sid: "1", app_name: name }, clock);
}

function namesOf(events: readonly AuditEvent[]): string[] {
  return events.map((each) => ("app_name" in each ? (each.app_name ?? "") : each.event));
}

/** Drains until `enough` says so. */
async function drainUntil(
  spool: Spool,
  send: (events: AuditEvent[]) => Promise<void>,
  enough: () => boolean,
): Promise<void> {
  const stop = new AbortController();
  const draining = spool.drain(async (events) => {
    try {
      await send(events);
    } finally {
      if (enough()) stop.abort();
      else setImmediate(() => clock.advance(SPOOL_BACKOFF_MS.last));
    }
  }, stop.signal);
  await draining;
}

test("events are delivered in order and leave nothing behind", async (t) => {
  const path = pathFor(t);
  await using spool = await open(path);
  const names = Array.from({ length: SPOOL_BATCH + 10 }, (_, i) => `a${i}`);
  for (const name of names) spool.put(event(name));
  const got: string[] = [];
  await drainUntil(
    spool,
    async (events) => void got.push(...namesOf(events)),
    () => got.length === names.length,
  );
  assert.deepEqual(got, names);
  assert.equal(spool.pending, 0);
  await spool.flushed();
  assert.equal(statSync(path).size, 0);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("what was not delivered is there after a restart, torn lines aside", async (t) => {
  const path = pathFor(t);
  const first = await open(path);
  first.put(event("a"));
  first.put(event("b"));
  await first.flushed(); // and then the process dies
  appendFileSync(path, '{"event":"app.session.st');
  await using second = await open(path);
  assert.equal(second.pending, 2);
  second.put(event("c"));
  const got: string[] = [];
  await drainUntil(
    second,
    async (events) => void got.push(...namesOf(events)),
    () => got.length === 3,
  );
  assert.deepEqual(got, ["a", "b", "c"]);
  await first[Symbol.asyncDispose]();
});

test("a failed delivery is repeated, with a longer wait each time", async (t) => {
  await using spool = await open(pathFor(t));
  spool.put(event("a"));
  let tries = 0;
  const flaky = async () => {
    tries += 1;
    if (tries < 4) throw new Error("away");
  };
  await drainUntil(spool, flaky, () => tries === 4);
  assert.deepEqual([tries, spool.pending], [4, 0]);
});

test("the wait is bounded, and the signal ends it", async (t) => {
  await using spool = await open(pathFor(t));
  spool.put(event("a"));
  const stop = new AbortController();
  let tries = 0;
  const draining = spool.drain(async () => {
    tries += 1;
    throw new Error("away");
  }, stop.signal);
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  await settle();
  for (const waitMs of [250, 500, 1000]) {
    clock.advance(waitMs - 1);
    await settle();
    const before = tries;
    clock.advance(1);
    await settle();
    assert.equal(tries, before + 1, `after ${waitMs} ms`);
  }
  stop.abort();
  await draining;
  assert.equal(spool.pending, 1);
});

test("a full spool drops, counts, and says so when there is room", async (t) => {
  const path = pathFor(t);
  await using spool = await open(path, 1000);
  for (let i = 0; i < 20; i++) spool.put(event(`a${i}`));
  const kept = spool.pending;
  assert.equal(spool.dropped, 20 - kept);
  assert.ok(kept > 0 && kept < 10);
  const got: AuditEvent[] = [];
  await drainUntil(
    spool,
    async (events) => void got.push(...events),
    () => got.length === kept + 1,
  );
  const report = got.at(-1);
  assert.equal(report?.event, "audit.dropped");
  assert.deepEqual(report.event === "audit.dropped" && [report.count, report.code, report.server_id], [
    20 - kept,
    "TAU001W",
    "s",
  ]);
});

test("an event that Auth refuses does not block the others", async (t) => {
  await using spool = await open(pathFor(t));
  for (const name of ["a", "bad", "b"]) spool.put(event(name));
  const got: string[] = [];
  const picky = async (events: AuditEvent[]) => {
    if (namesOf(events).includes("bad")) throw new BadInputError("no");
    got.push(...namesOf(events));
  };
  await drainUntil(spool, picky, () => got.length === 2);
  assert.deepEqual([got, spool.pending], [["a", "b"], 0]);
});

test("what is delivered leaves the file while others still wait", async (t) => {
  const path = pathFor(t);
  await using spool = await open(path);
  const big = event("x".repeat(10_000));
  const size = JSON.stringify(big).length + 1;
  for (let i = 0; i < 3 * SPOOL_BATCH; i++) spool.put(big);
  const sizes: number[] = [];
  const send = async () => {
    await spool.flushed();
    sizes.push(statSync(path).size);
  };
  await drainUntil(spool, send, () => sizes.length === 3);
  assert.deepEqual(
    sizes,
    [3, 2, 1].map((batches) => batches * SPOOL_BATCH * size),
  );
});
