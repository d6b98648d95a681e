import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { VERSION } from "../src/base/mod.ts";

const ROOT = join(import.meta.dirname, "..");
const SOURCES = globSync("{src,test,bench,scripts}/**/*.ts", { cwd: ROOT }).sort();

const MAX_LINES = 500;
/** Longer files, each with its reason. */
const LONG_FILES: Record<string, string> = {};

/** Paths that exist on one machine only. The bar keeps this file from holding them itself. */
const MACHINE_PATHS = ["/wo|rk/", "/Us|ers/"].map((path) => path.replace("|", ""));

test("there is one version", () => {
  assert.equal(json<{ version: string }>("package.json").version, VERSION);
  assert.equal(json<{ version: string }>("package-lock.json").version, VERSION);
});

test("package-lock.json names no registry, so that any registry serves", () => {
  assert.doesNotMatch(read("package-lock.json"), /"resolved":/);
});

test(`no file is longer than ${MAX_LINES} lines without a reason`, () => {
  const long = SOURCES.filter((file) => lineCount(file) > MAX_LINES);
  assert.deepEqual(
    long.filter((file) => !(file in LONG_FILES)),
    [],
  );
  assert.deepEqual(
    Object.keys(LONG_FILES).filter((file) => !long.includes(file)),
    [],
    "listed, but not long any more",
  );
});

test("no path of one machine is committed", () => {
  const bad = trackedFiles().filter((file) => MACHINE_PATHS.some((path) => read(file).includes(path)));
  assert.deepEqual(bad, []);
});

test("no test is run alone or left to do", () => {
  const forbidden = /\b(?:test|it|describe|suite)\.(?:only|todo|skip)\(|\b(?:only|todo): true/;
  const bad = SOURCES.filter((file) => file.endsWith(".test.ts") && file !== "test/tidy.test.ts");
  assert.deepEqual(
    bad.filter((file) => forbidden.test(read(file))),
    [],
  );
});

test("docs/errors.md explains every code, and no other", () => {
  const documented = headings("docs/errors.md");
  assert.deepEqual([...errorCodes()].sort(), documented.sort());
});

test("docs/limits.md lists every named limit", () => {
  const text = existsSync(join(ROOT, "docs/limits.md")) ? read("docs/limits.md") : "";
  const missing = limitNames().filter((name) => !text.includes(`\`${name}\``));
  assert.deepEqual(missing, []);
});

test("the count of tests never shrinks", () => {
  const now = json<Record<string, number>>("test/count.json");
  for (const revision of git("rev-list", "--max-count=50", "HEAD", "--", "test/count.json")) {
    const then = JSON.parse(git("show", `${revision}:test/count.json`).join("\n")) as Record<string, number>;
    for (const [kind, count] of Object.entries(then)) assert.ok((now[kind] ?? 0) >= count, `${kind} was ${count}`);
  }
});

/** Literal `code`s of OperationError classes: `readonly code = "x"`, also with `override` and `as const`. */
function errorCodes(): Set<string> {
  const files = SOURCES.filter((file) => file.startsWith("src/") && !file.endsWith(".test.ts"));
  const codes = files.flatMap((file) => [...read(file).matchAll(/\breadonly code(?:: [^=]+)? = "([^"]+)"/g)]);
  return new Set(codes.map((match) => match[1] ?? ""));
}

/** Constants of every `limits.ts`: the named maximum of a queue, table, loop or wait. */
function limitNames(): string[] {
  return SOURCES.filter((file) => /^src\/.*\/limits\.ts$/.test(file)).flatMap((file) =>
    [...read(file).matchAll(/^export const ([A-Z][A-Z0-9_]+)\b/gm)].map((match) => match[1] ?? ""),
  );
}

/** The codes that a document explains: its headings of the form "### `code`" and first cells "| `code` |". */
function headings(file: string): string[] {
  if (!existsSync(join(ROOT, file))) return [];
  return [...read(file).matchAll(/^(?:#+|\|) `([^`]+)`/gm)].map((match) => match[1] ?? "");
}

function lineCount(file: string): number {
  return read(file).split("\n").length - 1;
}

function trackedFiles(): string[] {
  return git("ls-files").filter((file) => existsSync(join(ROOT, file)));
}

function git(...args: string[]): string[] {
  // A clone that belongs to another user is fine: nothing of it is run.
  const text = execFileSync("git", ["-c", "safe.directory=*", ...args], { cwd: ROOT, encoding: "utf8" });
  return text.split("\n").filter((line) => line !== "");
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

function json<T>(file: string): T {
  return JSON.parse(read(file)) as T;
}
