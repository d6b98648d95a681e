import assert from "node:assert/strict";
import { generateKeyPairSync, sign, verify } from "node:crypto";
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type VirtualClock, virtualClock } from "../testkit/mod.ts";
import { type AuditLog, auditEvent, CHECKPOINT_MS, type Head, type Notary, openAuditLog } from "./mod.ts";

const DAY_MS = 86_400_000;

function notaryOf(): Notary & { head: Head | undefined } {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    head: undefined as Head | undefined,
    sign: (text) => sign(null, Buffer.from(text), privateKey).toString("base64"),
    verify: (text, signature) => verify(null, Buffer.from(text), publicKey, Buffer.from(signature, "base64")),
    async savedHead() {
      return this.head;
    },
    async saveHead(head) {
      this.head = head;
    },
  };
}

function setup(t: TestContext) {
  const dir = join(mkdtempSync(join(tmpdir(), "audit-chain-")), "log");
  t.after(() => rmSync(join(dir, ".."), { recursive: true }));
  return { dir, clock: virtualClock(), notary: notaryOf() };
}

function write(log: AuditLog, clock: VirtualClock, user: string): Promise<void> {
  return log.append(auditEvent("user.login", { cluster_name: "c", user, method: "local" }, clock));
}

async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise(setImmediate);
}

/** Three days of ten records, closed in order. */
async function threeDays(t: TestContext, o: { retentionMs?: number } = {}) {
  const at = setup(t);
  const log = await openAuditLog({ ...at, ...o });
  await log.guard(at.notary);
  for (let day = 0; day < 3; day++) {
    for (let i = 0; i < 10; i++) await write(log, at.clock, `u${day}${i}`);
    if (day < 2) at.clock.advance(DAY_MS);
    await settled();
  }
  await log.release();
  await log[Symbol.asyncDispose]();
  return at;
}

async function problemsOf(at: { dir: string; clock: VirtualClock; notary: Notary }): Promise<readonly string[]> {
  await using log = await openAuditLog(at);
  return (await log.verify(at.notary)).problems;
}

function edit(file: string, change: (lines: string[]) => string[]): void {
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  writeFileSync(file, `${change(lines).join("\n")}\n`);
}

test("an untouched log verifies over its files, each ended by a checkpoint", async (t) => {
  const at = await threeDays(t);
  await using log = await openAuditLog(at);
  const report = await log.verify(at.notary);
  assert.deepEqual([report.records, report.files, report.unchained, report.head.seq], [30, 3, 0, 30]);
  assert.deepEqual(report.problems, []);
  for (const name of readdirSync(at.dir)) {
    const last = readFileSync(join(at.dir, name), "utf8").trimEnd().split("\n").at(-1);
    assert.match(last ?? "", /^\{"checkpoint":/, name);
  }
  assert.equal(at.notary.head?.seq, 30);
});

test("what was changed, removed, inserted, reordered, forged or cut off is found", async (t) => {
  const day = (n: number) => (at: { dir: string }) => join(at.dir, `2026-01-0${n}.log`);
  for (const [name, harm, expected] of [
    [
      "a changed name",
      (at) => edit(day(1)(at), (l) => l.map((x, i) => (i === 4 ? x.replace("u04", "u99") : x))),
      /record 5 was changed/,
    ],
    ["a removed record", (at) => edit(day(2)(at), (l) => l.toSpliced(3, 1)), /records 13 to 13 before it are missing/],
    [
      "two that changed places",
      (at) => edit(day(2)(at), (l) => [l[0]!, l[2]!, l[1]!, ...l.slice(3)]),
      /missing|stands where/,
    ],
    ["a repeated record", (at) => edit(day(2)(at), (l) => [l[0]!, l[1]!, ...l.slice(1)]), /record 11 stands where 12/],
    [
      "an inserted line",
      (at) => edit(day(2)(at), (l) => [l[0]!, '{"event":"user.login"}', ...l.slice(1)]),
      /not a record of the chain/,
    ],
    ["a removed file", (at) => rmSync(day(2)(at)), /records 11 to 20 before it are missing/],
    ["the first file removed", (at) => rmSync(day(1)(at)), /records 1 to 10 before it are missing/],
    ["the last file removed", (at) => rmSync(day(3)(at)), /the end is cut off: records 21 to 30/],
    ["a cut tail", (at) => edit(day(3)(at), (l) => l.slice(0, 7)), /the end is cut off: records 27 to 30/],
    [
      "a checkpoint taken away",
      (at) => edit(day(1)(at), (l) => l.filter((x) => !x.startsWith('{"checkpoint"'))),
      /2026-01-01.log: does not end with a checkpoint/,
    ],
    [
      "a checkpoint's signature",
      (at) => edit(day(1)(at), (l) => l.map((x) => x.replace(/"signature":"....../, '"signature":"AAAAAA'))),
      /a forged checkpoint/,
    ],
    [
      "everything removed",
      (at) => void readdirSync(at.dir).map((f) => rmSync(join(at.dir, f))),
      /records 1 to 30 are missing/,
    ],
  ] as [string, (at: { dir: string }) => void, RegExp][]) {
    const at = await threeDays(t);
    harm(at);
    assert.match((await problemsOf(at)).join("\n"), expected, name);
  }
});

test("a chain that somebody computed anew over a changed record is not the one that was signed", async (t) => {
  const at = await threeDays(t);
  const forged = await openAuditLog({ dir: join(at.dir, "forged"), clock: virtualClock() });
  for (let i = 0; i < 10; i++) await write(forged, at.clock, `x${i}`);
  await forged[Symbol.asyncDispose]();
  const [name] = readdirSync(join(at.dir, "forged"));
  const lines = readFileSync(join(at.dir, "forged", name!), "utf8");
  rmSync(join(at.dir, "forged"), { recursive: true });
  for (const file of readdirSync(at.dir)) rmSync(join(at.dir, file));
  writeFileSync(join(at.dir, "2026-01-03.log"), lines);
  assert.match((await problemsOf(at)).join("\n"), /end is cut off/);
  at.notary.head = { seq: 5, hash: "ab".repeat(32) };
  assert.match((await problemsOf(at)).join("\n"), /record 5 is not the one that was saved/);
});

test("a tail that was cut while Auth was down stays found after it went on", async (t) => {
  const at = await threeDays(t);
  edit(join(at.dir, "2026-01-03.log"), (lines) => lines.slice(0, 7));
  await using log = await openAuditLog(at);
  assert.deepEqual(await log.guard(at.notary), { intact: false });
  await write(log, at.clock, "later");
  at.clock.advance(CHECKPOINT_MS);
  await settled();
  const { problems, head } = await log.verify(at.notary);
  assert.match(problems.join("\n"), /records 27 to 30 before it are missing/);
  assert.deepEqual([head.seq, at.notary.head?.seq], [31, 31]);
});

test("a rewritten end of the same length stays found after Auth went on", async (t) => {
  const at = await threeDays(t);
  const last = join(at.dir, "2026-01-03.log");
  edit(last, (lines) => lines.slice(0, 10));
  const forger = await openAuditLog(at); // the same code, without the key
  await write(forger, at.clock, "forged");
  await forger[Symbol.asyncDispose]();
  await using log = await openAuditLog(at);
  assert.deepEqual(await log.guard(at.notary), { intact: false });
  await write(log, at.clock, "later");
  await log.release();
  assert.match((await log.verify(at.notary)).problems.join("\n"), /record 31 was changed, or what precedes it/);
});

test("Auth signs each minute in which something was written, and the head is saved", async (t) => {
  const { dir, clock, notary } = setup(t);
  await using log = await openAuditLog({ dir, clock });
  await log.guard(notary);
  await write(log, clock, "a");
  const count = () => (readFileSync(join(dir, "2026-01-01.log"), "utf8").match(/"checkpoint"/g) ?? []).length;
  assert.equal(count(), 0);
  for (let minute = 0; minute < 3; minute++) {
    clock.advance(CHECKPOINT_MS);
    while (notary.head === undefined) await settled();
    await settled();
  }
  assert.equal(count(), 1, "nothing new, nothing signed");
  assert.equal(notary.head?.seq, 1);
  await log.release();
});

test("half a line of a crash is dropped, and the chain goes on", async (t) => {
  const at = await threeDays(t);
  appendFileSync(join(at.dir, "2026-01-03.log"), '{"event":"user.login","ei":0,"chain":"31:');
  await using log = await openAuditLog(at);
  assert.deepEqual(await log.guard(at.notary), { intact: true });
  await write(log, at.clock, "after");
  const report = await log.verify(at.notary);
  assert.deepEqual([report.records, report.problems], [31, []]);
  await log.release();
});

test("retention removes whole days and keeps the signed place where the rest begins", async (t) => {
  const at = await threeDays(t, { retentionMs: DAY_MS });
  assert.deepEqual(readdirSync(at.dir).sort(), ["2026-01-02.log", "2026-01-03.log", "removed.checkpoint"]);
  assert.deepEqual(await problemsOf(at), []);
  rmSync(join(at.dir, "2026-01-02.log"));
  assert.match((await problemsOf(at)).join("\n"), /records 11 to 20 before it are missing/);
  writeFileSync(
    join(at.dir, "removed.checkpoint"),
    '{"checkpoint":{"seq":20,"hash":"00","time":""},"signature":"AA=="}\n',
  );
  assert.match((await problemsOf(at)).join("\n"), /removed.checkpoint: not signed/);
});

test("events of before the chain are counted, and search finds both", async (t) => {
  const { dir, clock, notary } = setup(t);
  const log = await openAuditLog({ dir, clock });
  const old = auditEvent("user.login", { cluster_name: "c", user: "old", method: "local" }, clock);
  writeFileSync(join(dir, "2026-01-01.log"), `${JSON.stringify(old)}\n`);
  await log.guard(notary);
  await write(log, clock, "new");
  const report = await log.verify(notary);
  assert.deepEqual([report.unchained, report.records, report.problems], [1, 1, []]);
  assert.deepEqual(
    (await log.search()).map((event) => event.user),
    ["old", "new"],
  );
  assert.deepEqual(
    (await log.search({ user: "new" })).map((event) => event.user),
    ["new"],
  );
  await log.release();
  await log[Symbol.asyncDispose]();
});

test("with a full disk there is no room for what must be audited", async (t) => {
  const { dir, clock } = setup(t);
  let free = 1e9;
  await using log = await openAuditLog({ dir, clock, freeBytes: async () => free });
  await log.demandRoom();
  free = 1_000_000;
  await assert.rejects(log.demandRoom(), { code: "audit.failed", retryable: true, message: /disk is full/ });
  await using real = await openAuditLog({ dir, clock });
  await real.demandRoom();
  rmSync(dir, { recursive: true });
  await assert.rejects(real.demandRoom(), { code: "audit.failed", message: /is not there/ });
});
