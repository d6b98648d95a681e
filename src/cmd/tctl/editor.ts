import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { messageOf, OperationError } from "../../base/mod.ts";

export class EditorFailedError extends OperationError {
  readonly code = "tctl.editor-failed";
}

/** What was typed could not be saved; its file is kept and named. */
export class EditNotSavedError extends OperationError {
  readonly code = "tctl.edit-not-saved";
}

/**
 * Opens `text` in the user's editor and hands what they saved to `save`. The
 * file is 0600 and removed, unless `save` fails: nobody types it all again.
 */
export async function editText(text: string, editor: string, save: (text: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(path.join(tmpdir(), "teleport-resource-"));
  const file = path.join(dir, "resource.yaml");
  let keep = false;
  try {
    await writeFile(file, text, { mode: 0o600 });
    await runEditor(editor, file);
    const edited = await readFile(file, "utf8");
    keep = edited !== text;
    await save(edited);
    keep = false;
  } catch (error) {
    if (!keep) throw error;
    throw new EditNotSavedError(`${messageOf(error)}\nWhat you typed is kept in ${file}`, { cause: error });
  } finally {
    if (!keep) await rm(dir, { recursive: true, force: true });
  }
}

function runEditor(editor: string, file: string): Promise<void> {
  // Split on spaces so that `code --wait` works.
  const [program = "vi", ...args] = editor.split(/\s+/).filter((word) => word !== "");
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args, file], { stdio: "inherit" });
    child.on("error", (cause) =>
      reject(
        new EditorFailedError(`the editor "${program}" cannot be started: ${cause.message}; set EDITOR`, { cause }),
      ),
    );
    child.on("exit", (code, signal) => {
      if (code === 0) resolve();
      else
        reject(
          new EditorFailedError(`the editor "${program}" ended with ${signal ?? `code ${code}`}: nothing was changed`),
        );
    });
  });
}
