import { closeSync, openSync, readFileSync, readSync } from "node:fs";

const PIECE = 4 * 1024 * 1024;

/** How often `marker` stands in another process's memory, as octets or as a string of two octets a character. */
export function countInMemory(pid: number, marker: string): number {
  const forms = [Buffer.from(marker, "latin1"), Buffer.from(marker, "utf16le")];
  const overlap = 2 * marker.length;
  const memory = openSync(`/proc/${pid}/mem`, "r");
  try {
    let found = 0;
    for (const { from, to } of writableRegions(pid)) {
      for (let at = from; at < to; at += PIECE) {
        const piece = readAt(memory, at, Math.min(PIECE + overlap, to - at));
        for (const form of forms) found += count(piece, form, PIECE);
      }
    }
    return found;
  } finally {
    closeSync(memory);
  }
}

function writableRegions(pid: number): { from: number; to: number }[] {
  const lines = readFileSync(`/proc/${pid}/maps`, "utf8").split("\n");
  return lines.flatMap((line) => {
    const match = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
    return match === null ? [] : [{ from: Number.parseInt(match[1]!, 16), to: Number.parseInt(match[2]!, 16) }];
  });
}

/** Empty where the kernel gives nothing: a region that has just gone, or a device's. */
function readAt(file: number, at: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(length);
  try {
    return buffer.subarray(0, readSync(file, buffer, 0, length, at));
  } catch {
    return buffer.subarray(0, 0);
  }
}

/** Occurrences that begin before `end`. */
function count(bytes: Buffer, form: Buffer, end: number): number {
  let found = 0;
  for (let at = bytes.indexOf(form); at >= 0 && at < end; at = bytes.indexOf(form, at + 1)) found++;
  return found;
}
