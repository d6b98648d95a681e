import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { errorClasses, PAGES } from "../scripts/reference.ts";
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

for (const [file, render] of Object.entries(PAGES)) {
  test(`${file} is what the code says (npm run docs)`, async () => {
    // Not `equal`: nobody wants to read two whole pages.
    assert.ok(read(file) === (await render(ROOT)), `${file} is out of date: npm run docs`);
  });
}

test("every code of an error is said by one class only", () => {
  const files = SOURCES.filter((file) => file.startsWith("src/"));
  const codes = files.flatMap((file) => errorClasses(read(file)).map(({ code }) => code));
  assert.deepEqual(
    codes.filter((code, i) => codes.indexOf(code) !== i),
    [],
  );
});

test("every code of an error is its folder's name, a dot and words", () => {
  const files = SOURCES.filter((file) => file.startsWith("src/") && !file.endsWith(".test.ts"));
  const codes = files.flatMap((file) => errorClasses(read(file)).map(({ code }) => code));
  assert.ok(codes.length > 0);
  assert.deepEqual(
    codes.filter((code) => !/^[a-z]+\.[a-z]+(-[a-z]+)*$/.test(code)),
    [],
  );
});

test("the count of tests never shrinks", () => {
  const now = json<Record<string, number>>("test/count.json");
  for (const revision of git("rev-list", "--max-count=50", "HEAD", "--", "test/count.json")) {
    const then = JSON.parse(git("show", `${revision}:test/count.json`).join("\n")) as Record<string, number>;
    for (const [kind, count] of Object.entries(then)) assert.ok((now[kind] ?? 0) >= count, `${kind} was ${count}`);
  }
});

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
