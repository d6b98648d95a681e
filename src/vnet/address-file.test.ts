import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { createLogger } from "../base/mod.ts";
import { virtualClock } from "../testkit/mod.ts";
import { AddressFile } from "./address-file.ts";
import { ADDRESS_FILE_DELAY_MS } from "./limits.ts";

function fixture(t: TestContext) {
  const home = mkdtempSync(join(tmpdir(), "addresses-"));
  t.after(() => rmSync(home, { recursive: true }));
  const path = join(home, "vnet", "addresses.json");
  const lines: string[] = [];
  const log = createLogger({ level: "warn", format: "json", write: (line) => void lines.push(JSON.parse(line).msg) });
  const clock = virtualClock();
  return { path, lines, clock, open: () => new AddressFile(path, { clock, log }) };
}

const names = [
  { host: "a.test", v4: "100.64.0.9" },
  { host: "b.test", v4: "100.64.0.10", released: Date.UTC(2026, 0, 2) },
];

test("what was written is read by the next run, and only the user can read it", async (t) => {
  const { path, open, clock, lines } = fixture(t);
  const file = open();
  assert.deepEqual([file.names, file.v6Prefix], [[], undefined]);
  file.setPrefix("fd01:203:405::");
  file.changed(() => []);
  file.changed(() => names);
  assert.ok(!existsSync(path), "not yet: more may come");
  clock.advance(ADDRESS_FILE_DELAY_MS);
  await file.close();
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(dirname(path)), ["addresses.json"]);
  const next = open();
  assert.deepEqual([next.names, next.v6Prefix], [names, "fd01:203:405::"]);
  assert.deepEqual(lines, []);
});

test("closing writes what waits, once", async (t) => {
  const { path, open } = fixture(t);
  const file = open();
  let asked = 0;
  file.changed(() => {
    asked++;
    return names;
  });
  await file.close();
  await file.close();
  assert.equal(asked, 1);
  assert.equal(JSON.parse(readFileSync(path, "utf8")).names.length, 2);
});

test("two VNets keep each other's names; where they differ the later writer has it", async (t) => {
  const { open } = fixture(t);
  const [one, two] = [open(), open()];
  one.setPrefix("fd01::");
  two.setPrefix("fd02::");
  const onlyOnes = { host: "d.test", v4: "100.64.0.12" };
  one.changed(() => [...names, onlyOnes]);
  await one.close();
  two.changed(() => [
    { host: "b.test", v4: "100.64.0.11" },
    { host: "c.test", v4: "100.64.0.9" },
  ]);
  await two.close();
  const next = open();
  assert.deepEqual(next.names, [{ host: "b.test", v4: "100.64.0.11" }, { host: "c.test", v4: "100.64.0.9" }, onlyOnes]);
  assert.equal(next.v6Prefix, "fd01::", "the first one's");
});

test("a damaged file is a fresh start with one warning, and is replaced", async (t) => {
  const { path, open, lines } = fixture(t);
  const first = open();
  first.changed(() => names);
  await first.close();
  const good = readFileSync(path, "utf8");
  for (const bad of [
    "",
    good.slice(0, -5),
    good.replace('"version": 1', '"version": 2'),
    good.replace("100.64.0.9", "100.64.0.900"),
    good.replace("fd00::", "2001:db8::"),
    good.replace("fd00::", "fdxx::"),
    "[]",
  ]) {
    lines.length = 0;
    writeFileSync(path, bad);
    const file = open();
    assert.deepEqual(
      [file.names, file.v6Prefix, lines],
      [[], undefined, [`${path} is damaged; names get new addresses`]],
    );
    file.changed(() => names.slice(0, 1));
    await file.close();
    assert.equal(open().names.length, 1);
  }
});

test("a directory that cannot be written is told, and nothing else fails", async (t) => {
  const { path, open, lines } = fixture(t);
  writeFileSync(dirname(path), "a file where the directory should be");
  const file = open();
  file.changed(() => names);
  await file.close();
  assert.match(lines.at(-1)!, /^addresses will be others at the next start: /);
});
