import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { encodeUtf8, systemClock } from "../base/mod.ts";
import { openSqlite } from "./mod.ts";

const MODULE = join(import.meta.dirname, "mod.ts");

function pathFor(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "sqlite-"));
  t.after(() => rmSync(dir, { recursive: true }));
  return join(dir, "backend", "sqlite.db");
}

/** A process that writes items in parallel and prints each key once its write has resolved. */
function writer(path: string) {
  const code = `
    import { openSqlite } from ${JSON.stringify(MODULE)};
    const clock = { now: () => performance.now(), wallMs: () => Date.now(), after: () => ({ cancel() {} }) };
    const backend = openSqlite(${JSON.stringify(path)}, { clock });
    let next = 0;
    const one = async () => {
      for (;;) {
        const key = "/" + next++;
        await backend.create(key, new Uint8Array(100));
        process.stdout.write(key + "\\n");
      }
    };
    for (let i = 0; i < 8; i++) void one();
  `;
  return spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
}

test("what was acknowledged survives kill -9, and the lock does not", async (t) => {
  const path = pathFor(t);
  const acknowledged: string[] = [];
  const child = writer(path);
  const lines = createInterface(child.stdout);
  lines.on("line", (line) => {
    acknowledged.push(line);
    if (acknowledged.length === 300) child.kill("SIGKILL");
  });
  await Promise.all([once(child, "close"), once(lines, "close")]);
  await using backend = openSqlite(path, { clock: systemClock });
  const stored = new Set((await backend.range("/")).map(({ key }) => key));
  assert.ok(acknowledged.length >= 300);
  assert.deepEqual(
    acknowledged.filter((key) => !stored.has(key)),
    [],
  );
});

// What a power cut leaves is in power-cut.test.ts; these are the settings that it depends on, where SQLite took them.
test("its own connection syncs each commit, and a write resolves behind the commit", async (t) => {
  const path = pathFor(t);
  const exec = t.mock.method(DatabaseSync.prototype, "exec");
  await using backend = openSqlite(path, { clock: systemClock });
  const db = exec.mock.calls[0]!.this as DatabaseSync;
  const FULL = 2;
  assert.deepEqual({ ...db.prepare("PRAGMA synchronous").get() }, { synchronous: FULL });
  assert.deepEqual({ ...db.prepare("PRAGMA journal_mode").get() }, { journal_mode: "wal" });
  assert.deepEqual({ ...db.prepare("PRAGMA locking_mode").get() }, { locking_mode: "exclusive" });
  const said = () => exec.mock.calls.map((call) => call.arguments[0]);
  exec.mock.resetCalls();
  const write = backend.put("/a", encodeUtf8("x")).then(said);
  assert.deepEqual(said(), []);
  assert.deepEqual(await write, ["BEGIN IMMEDIATE", "COMMIT"]);
});

test("files are 0600 in a directory of 0700", async (t) => {
  const path = pathFor(t);
  await using backend = openSqlite(path, { clock: systemClock });
  await backend.put("/a", encodeUtf8("secret"));
  const dir = join(path, "..");
  assert.equal(statSync(dir).mode & 0o777, 0o700);
  for (const name of readdirSync(dir)) assert.equal(statSync(join(dir, name)).mode & 0o777, 0o600, name);
});

test("a second process is refused with what to do", async (t) => {
  const path = pathFor(t);
  await using backend = openSqlite(path, { clock: systemClock });
  await backend.put("/a", encodeUtf8("x"));
  assert.throws(() => openSqlite(path, { clock: systemClock }), {
    code: "storage.in-use",
    message: `${path} is in use by another process; stop the other teleport that uses this data_dir`,
  });
});

test("an unknown format and a file that is no database are refused and left alone", async (t) => {
  const path = pathFor(t);
  await openSqlite(path, { clock: systemClock })[Symbol.asyncDispose]();
  const db = new DatabaseSync(path);
  db.exec("UPDATE format SET version = 7");
  db.close();
  assert.throws(() => openSqlite(path, { clock: systemClock }), {
    code: "storage.format",
    message: `${path} has format 7, this version knows 1; use the version that wrote it`,
  });
  const garbage = `${path}2`;
  writeFileSync(garbage, "not a database, but long enough to have a header".repeat(20));
  assert.throws(() => openSqlite(garbage, { clock: systemClock }), { code: "storage.failed" });
});

test("items outlive the process with their revision and expiry", async (t) => {
  const path = pathFor(t);
  const first = openSqlite(path, { clock: systemClock });
  const expires = Date.now() + 60_000;
  const writing = first.put("/a", encodeUtf8("x"), { expires });
  await first[Symbol.asyncDispose](); // writes what is pending
  const revision = await writing;
  await using second = openSqlite(path, { clock: systemClock });
  assert.deepEqual(await second.get("/a"), { key: "/a", value: encodeUtf8("x"), revision, expires });
});
