/** The guide as data (`test/vectors/guide-*.json`): its commands quoted, in its order. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Guide {
  guide: string;
  /** Host names, version, pin and the app's address, which differ here: quoted → what stands for it. */
  substitute: Record<string, string>;
  steps: Step[];
}

/** One step; `exception` says why it cannot be followed here. Everything but `expect` is quoted. */
export type Step = { section: string; exception?: string; note?: string } & (
  | { run: string; output?: string[]; expect?: string; check?: string; variable?: boolean; alreadyExists?: string }
  | { install: string; output: string[] }
  | { edit: string }
  | { file: string; content: string[]; indent: number[]; fill?: Record<string, string> }
  | { do: "restart the teleport daemon" | "start VNet" | "connect with psql" }
);

export function readGuide(version: string): Guide {
  const file = join(import.meta.dirname, `../vectors/guide-${version}.json`);
  return JSON.parse(readFileSync(file, "utf8")) as Guide;
}

/** Puts what this cluster has in the place of the guide's host names, version, pin and address. */
export function substitute(guide: Guide, text: string, values: Record<string, string>): string {
  let result = text;
  for (const [quoted, own] of Object.entries(guide.substitute)) result = result.replaceAll(quoted, own);
  return fillIn(result, values);
}

export function fillIn(text: string, values: Record<string, string>): string {
  return text.replaceAll(/\{(version|pin|uri)\}/g, (_, name: string) => values[name] ?? "");
}

/** The file's text: lines with the indentation that the quotation lost, and the reader's own values filled in. */
export function fileText(step: Extract<Step, { file: string }>): string {
  return step.content.map((line, i) => `${" ".repeat(step.indent[i] ?? 0)}${step.fill?.[line] ?? line}\n`).join("");
}
