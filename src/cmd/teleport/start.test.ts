import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parseTeleportConfig } from "../../config/mod.ts";
import { runTeleport } from "./start.ts";

const OUTSIDE = { webRoots: { certFile: undefined, certDir: undefined }, dialTcp: undefined };
const PROGRAM = join(import.meta.dirname, "..", "teleport.ts");

let dir: string;
before(() => {
  dir = mkdtempSync(join(tmpdir(), "start-"));
});
after(() => rmSync(dir, { recursive: true }));

/** A file that is one when a directory is wanted, and the other way about, each in a place of its own. */
function blocked(name: string, inside: string, what: "file" | "directory"): string {
  const dataDir = join(dir, name);
  const path = join(dataDir, inside);
  mkdirSync(what === "directory" ? path : join(path, ".."), { recursive: true });
  if (what === "file") writeFileSync(path, "no database, but long enough to have a header\n".repeat(20));
  return dataDir;
}

function config(dataDir: string, teleport = ""): string {
  return `version: v3
teleport: {data_dir: ${dataDir}, log: {severity: ERROR${teleport}}}
auth_service: {listen_addr: "127.0.0.1:0"}
proxy_service: {web_listen_addr: "127.0.0.1:0"}
`;
}

/** What can be in the way of a start, and the sentence; DIR is the test's directory. */
const FAULTS: readonly [name: string, text: () => string, message: string][] = [
  [
    "the data directory is a file",
    () => config(join(blocked("a", "x", "file"), "x")),
    "the data directory DIR/a/x cannot be used: something else is there already; or set another teleport.data_dir",
  ],
  [
    "the database is a directory",
    () => config(blocked("b", "backend/sqlite.db", "directory")),
    "opening DIR/b/backend/sqlite.db: it is a directory",
  ],
  [
    "the database is none",
    () => config(blocked("c", "backend/sqlite.db", "file")),
    "opening DIR/c/backend/sqlite.db: file is not a database; restore it from a backup, or move it away to begin with an empty cluster",
  ],
  [
    "the audit log's directory is a file",
    () => config(blocked("d", "log", "file")),
    "the audit log's directory DIR/d/log cannot be used: something else is there already",
  ],
  [
    "the log cannot be written",
    () => config(join(dir, "e"), `, output: ${join(dir, "none", "log")}`),
    "cannot write the log to DIR/none/log: its directory does not exist",
  ],
  [
    "the web certificate is not there",
    () => config(join(dir, "f")).replace("{web_", `{https_key_file: ${PROGRAM}, https_cert_file: /none.crt, web_`),
    "the web certificate /none.crt cannot be used: there is no such file; see proxy_service.https_keypairs",
  ],
];

describe("what is in the way of a start is said in one sentence, with its place", () => {
  for (const [name, text, message] of FAULTS) {
    test(name, async () => {
      const faulty = parseTeleportConfig(text(), "t.yaml");
      const running = runTeleport(faulty, OUTSIDE, new AbortController().signal);
      await assert.rejects(running, { message: message.replaceAll("DIR", dir) });
    });
  }
});

test("the program says it on standard error, without a stack, and ends with 1", async () => {
  const file = join(dir, "teleport.yaml");
  writeFileSync(file, config(join(dir, "g")));
  const args = [PROGRAM, "start", "-c", file, "--pid-file", join(dir, "none", "pid")];
  const { code, said } = await new Promise<{ code: unknown; said: string }>((resolve) => {
    execFile(process.execPath, args, { timeout: 30_000 }, (error, _, said) => resolve({ code: error?.code, said }));
  });
  const message = `cannot write the process id to ${join(dir, "none", "pid")}: its directory does not exist`;
  assert.deepEqual({ code, said }, { code: 1, said: `ERROR: ${message}\n` });
});
