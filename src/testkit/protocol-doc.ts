/** `docs/protocol.md` as data, for the tests that compare it with the code. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const TEXT = readFileSync(join(import.meta.dirname, "../../docs/protocol.md"), "utf8");

/** Rows of the table whose header begins with these cells; code marks are taken off. */
export function protocolTable(...header: string[]): string[][] {
  const rows = TEXT.split("\n").map((line) => (line.startsWith("|") ? cellsOf(line) : []));
  const at = rows.findIndex((cells) => cells.length > 0 && header.every((cell, i) => cells[i] === cell));
  if (at < 0) throw new Error(`docs/protocol.md has no table ${header.join(" | ")}`);
  const length = rows.slice(at).findIndex((cells) => cells.length === 0);
  return rows.slice(at + 2, at + length);
}

/** What the page says of a folder's limits: `folder.NAME` (value), however often it says so. */
export function quotedLimits(folder: string): { name: string; value: number }[] {
  const quotes = TEXT.matchAll(new RegExp(`\`${folder}\\.([A-Z_]+)\`(?:\\s+\\(([\\d,]+)\\))?`, "g"));
  return [...quotes].flatMap(([, name = "", value]) =>
    value === undefined ? [] : [{ name, value: Number(value.replaceAll(",", "")) }],
  );
}

/** Every limit that the page names, with or without its value, as `folder.NAME`. */
export function namedLimits(): string[] {
  return [...TEXT.matchAll(/`(\w+\.[A-Z][A-Z_]+)`/g)].map(([, name = ""]) => name);
}

/** Whether the page says exactly this. */
export function protocolSays(text: string): boolean {
  return TEXT.includes(text);
}

function cellsOf(line: string): string[] {
  return line
    .slice(1, line.lastIndexOf("|"))
    .split("|")
    .map((cell) => cell.trim().replaceAll("`", ""));
}
