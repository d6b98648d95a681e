import { type FileHandle, open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { GENESIS, type Head, readLine } from "./chain.ts";
import { TAIL_READ_LEN } from "./limits.ts";

/** The last checkpoint of what retention removed: where the chain that is left begins. */
export const REMOVED_FILE = "removed.checkpoint";

/** The log's files, oldest first. */
export async function logFiles(dir: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => /^\d{4}-\d\d-\d\d\.log$/.test(name)).sort();
}

export interface Tail {
  readonly head: Head;
  /** The newest file that has lines, and whether a checkpoint is its last. */
  readonly file?: string;
  readonly sealed: boolean;
}

/** Where the chain on the disk ends. */
export async function readTail(dir: string): Promise<Tail> {
  for (const file of (await logFiles(dir)).reverse()) {
    await using handle = await open(join(dir, file), "r");
    const lines = await lastLines(handle);
    const known = lines.map(readLine).findLast((line) => line.kind !== "other");
    if (known !== undefined) {
      const last = readLine(lines.at(-1) ?? "");
      const { seq, hash } = known.kind === "record" ? known.head : known.checkpoint;
      return { head: { seq, hash }, file, sealed: last.kind === "checkpoint" };
    }
  }
  const removed = await removedLine(dir);
  const line = readLine(removed ?? "");
  if (line.kind !== "checkpoint") return { head: GENESIS, sealed: true };
  return { head: { seq: line.checkpoint.seq, hash: line.checkpoint.hash }, sealed: true };
}

/** The hash of a record, or of the checkpoint that kept it; newest files first. */
export async function hashAt(dir: string, seq: number): Promise<string | undefined> {
  for (const file of (await logFiles(dir)).reverse()) {
    let lowest = Number.POSITIVE_INFINITY;
    await using handle = await open(join(dir, file), "r");
    for await (const text of handle.readLines({ autoClose: false })) {
      const line = readLine(text);
      if (line.kind === "other") continue;
      const head = line.kind === "record" ? line.head : line.checkpoint;
      if (head.seq === seq) return head.hash;
      lowest = Math.min(lowest, head.seq);
    }
    if (lowest < seq) return undefined;
  }
  const line = readLine((await removedLine(dir)) ?? "");
  return line.kind === "checkpoint" && line.checkpoint.seq === seq ? line.checkpoint.hash : undefined;
}

export async function removedLine(dir: string): Promise<string | undefined> {
  try {
    return (await readFile(join(dir, REMOVED_FILE), "utf8")).trimEnd();
  } catch {
    return undefined; // Nothing has been removed.
  }
}

/** The last complete lines of a file; all of a short one. */
export async function lastLines(handle: FileHandle): Promise<string[]> {
  const { size } = await handle.stat();
  for (let length = TAIL_READ_LEN; ; length *= 2) {
    const start = Math.max(0, size - length);
    const bytes = Buffer.alloc(size - start);
    await handle.read(bytes, 0, bytes.length, start);
    const lines = bytes.toString("utf8").split("\n");
    lines.pop(); // What stands behind the last line's end was never acknowledged.
    if (start === 0) return lines;
    if (lines.length > 1) return lines.slice(1);
  }
}

/** A crash may have left half a line. It was never acknowledged, and what follows must not be glued to it. */
export async function dropTornLine(handle: FileHandle): Promise<void> {
  const { size } = await handle.stat();
  if (size === 0) return;
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - TAIL_READ_LEN);
    const bytes = Buffer.alloc(end - start);
    await handle.read(bytes, 0, bytes.length, start);
    const newline = bytes.lastIndexOf(0x0a);
    if (newline >= 0) {
      if (start + newline + 1 < size) await handle.truncate(start + newline + 1);
      return;
    }
    end = start;
  }
  await handle.truncate(0);
}
