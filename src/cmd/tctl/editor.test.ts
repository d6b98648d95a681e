import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { RevisionMismatchError } from "../../api/mod.ts";
import { editText } from "./editor.ts";

/** An editor that appends a line, as a person would. */
async function withEditor(run: (editor: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "editor-"));
  const script = join(dir, "editor");
  await writeFile(script, '#!/bin/sh\nfor file; do :; done\n[ "$1" = --no-change ] || echo "# typed" >>"$file"\n');
  await chmod(script, 0o755);
  try {
    await run(script);
  } finally {
    await rm(dir, { recursive: true });
  }
}

test("an edit that cannot be saved stays in a file of its own, and the error says where", async () => {
  await withEditor(async (editor) => {
    const conflict = new RevisionMismatchError("it was changed while you edited it");
    const error = await editText("kind: role\n", editor, () => Promise.reject(conflict)).catch((e: Error) => e);
    assert.ok(error instanceof Error && error.cause === conflict);
    const file = /^it was changed while you edited it\nWhat you typed is kept in (\S+)$/.exec(error.message)?.[1] ?? "";
    assert.equal(await readFile(file, "utf8"), "kind: role\n# typed\n");
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    await rm(join(file, ".."), { recursive: true });
  });
});

test("a saved edit, an unchanged one and one that failed without changes leave no file", async () => {
  await withEditor(async (editor) => {
    const seen: string[] = [];
    await editText("a\n", editor, async (text) => void seen.push(text));
    await editText("a\n", `${editor} --no-change`, async (text) => void seen.push(text));
    assert.deepEqual(seen, ["a\n# typed\n", "a\n"]);
    await assert.rejects(
      editText("a\n", `${editor} --no-change`, () => Promise.reject(new Error("away"))),
      /^Error: away$/,
    );
    await assert.rejects(
      editText("a\n", "/no/such/editor", async () => {}),
      /cannot be started.*set EDITOR/,
    );
    await assert.rejects(
      editText("a\n", "false", async () => {}),
      /ended with code 1: nothing was changed/,
    );
  });
});
