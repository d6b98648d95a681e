import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { OperationError } from "../../base/mod.ts";

export class EditorFailedError extends OperationError {
  readonly code = "tctl.editor-failed";
}

/** Opens `text` in the user's editor and returns what they saved. The file is 0600 and removed in any case. */
export async function editText(text: string, editor: string): Promise<string> {
  const dir = await mkdtemp(path.join(tmpdir(), "teleport-resource"));
  try {
    const file = path.join(dir, "resource.yaml");
    await writeFile(file, text, { mode: 0o600 });
    await runEditor(editor, file);
    return await readFile(file, "utf8");
  } finally {
    await rm(dir, { recursive: true, force: true });
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
