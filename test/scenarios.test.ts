/** `docs/scenarios.md` names tests by file and title: they exist. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

const ROOT = join(import.meta.dirname, "..");
const ROWS = readFileSync(join(ROOT, "docs/scenarios.md"), "utf8")
  .split("\n")
  .filter((line) => /^\| (?!scenario|test|\|)/.test(line) && !line.startsWith("| | "));

test("every scenario has a test, an issue or a reason", () => {
  assert.ok(ROWS.length > 50);
  const without = ROWS.filter((row) => {
    const cell = row.split(" | ").at(-1) ?? "";
    return testsOf(cell).length === 0 && !/issue \*[^*]+\*/.test(cell) && !cell.startsWith("— ");
  });
  assert.deepEqual(without, []);
});

test("every test that a scenario names is there", () => {
  const missing = ROWS.flatMap(testsOf).filter(
    ({ file, title }) => !existsSync(join(ROOT, file)) || !readFileSync(join(ROOT, file), "utf8").includes(title),
  );
  assert.deepEqual(missing, []);
});

/** `file` "title" and "title" */
function testsOf(text: string): { file: string; title: string }[] {
  return [...text.matchAll(/`([\w/.-]+\.test\.ts)` ("[^"]+"(?: and "[^"]+")*)/g)].flatMap(([, file, titles]) =>
    [...titles!.matchAll(/"([^"]+)"/g)].map(([, title]) => ({ file: file!, title: title! })),
  );
}
