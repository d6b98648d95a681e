import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const ROOT = new URL("../../", import.meta.url);
const MUSTS = 69;
const SHOULDS = 31;

interface Row {
  readonly number: string;
  readonly file: string;
  readonly title: string;
}

function rows(): Row[] {
  const text = readFileSync(new URL("docs/rfc-coverage.md", ROOT), "utf8");
  return text
    .split("\n")
    .filter((line) => /^\| (MUST|SHLD|REC)-/.test(line))
    .map((line) => {
      const [, number, , file, title] = line.split("|").map((cell) => cell.trim());
      return { number: number!, file: file!.replaceAll("`", ""), title: title! };
    });
}

test("every MUST and SHOULD of RFC 9293 is in docs/rfc-coverage.md, once and in order", () => {
  const numbers = (kind: string, count: number) => Array.from({ length: count }, (_, i) => `${kind}-${i + 1}`);
  assert.deepEqual(
    rows().map((row) => row.number),
    [...numbers("MUST", MUSTS), ...numbers("SHLD", SHOULDS), "REC-1"],
  );
});

test("every test that it names exists; where there is none stands a reason", () => {
  for (const { number, file, title } of rows()) {
    if (file === "–") {
      assert.match(title, /\.$/, `${number}: a reason is a sentence`);
      continue;
    }
    const source = readFileSync(new URL(file, ROOT), "utf8");
    assert.ok(
      [`test("${title}`, `test(\`${title}`].some((start) => source.includes(start)),
      `${number}: ${title}`,
    );
  }
});
