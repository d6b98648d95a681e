import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const ROOT = join(import.meta.dirname, "..");

test("every test that docs/security.md names exists", () => {
  const text = readFileSync(join(ROOT, "docs/security.md"), "utf8");
  const named = [...text.matchAll(/`((?:src|test)\/[\w./-]+\.test\.ts): "([^"`]+)"`/g)];
  assert.ok(named.length > 30, `${named.length} tests are named`);
  const missing = named.filter(([, file, name]) => {
    const path = join(ROOT, file!);
    return !existsSync(path) || !readFileSync(path, "utf8").includes(`"${name}"`);
  });
  assert.deepEqual(
    missing.map(([whole]) => whole),
    [],
  );
});
