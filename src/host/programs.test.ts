import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CommandNotFoundError } from "./errors.ts";
import { requireCommand } from "./programs.ts";

test("a command is looked for as execvp does, past what cannot be looked at", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "programs-"));
  t.after(() => {
    chmodSync(closed, 0o700); // Or nobody but root could remove it.
    rmSync(dir, { recursive: true });
  });
  const [a, b, closed] = [join(dir, "a"), join(dir, "b"), join(dir, "closed")];
  for (const each of [a, b, closed]) mkdirSync(each);
  writeFileSync(join(a, "tool"), "");
  assert.throws(() => requireCommand("tool", a), CommandNotFoundError, "not executable");
  writeFileSync(join(b, "tool"), "#!/bin/sh\n", { mode: 0o755 });
  requireCommand("tool", `${a}:${b}`);
  // A file in the place of a directory: ENOTDIR; for who is not root, a closed one: EACCES.
  chmodSync(closed, 0);
  requireCommand("tool", `${join(a, "tool")}:${closed}:${join(dir, "none")}:${b}`);
  assert.throws(() => requireCommand("tool", `${join(a, "tool")}:${closed}`), CommandNotFoundError);
  assert.throws(() => requireCommand("tool", ""), CommandNotFoundError);
});
