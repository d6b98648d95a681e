import { stringify } from "yaml";
import type { Format } from "./arguments.ts";
import { print } from "./program.ts";

/** Prints `value` as JSON or YAML, or the text form where the user asked for none of them. */
export function printAs(format: Format, value: unknown, text: () => string): void {
  switch (format) {
    case "json":
      print(`${JSON.stringify(value, null, 2)}\n`);
      return;
    case "yaml":
      print(stringify(value));
      return;
    case "text":
      print(text());
  }
}

/** `env=prod,team=red`, as `parseLabels` reads them. */
export function labelsText(labels: Readonly<Record<string, string>> = {}): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}

export function humanDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const parts = [`${Math.floor(seconds / 3600)}h`, `${Math.floor((seconds % 3600) / 60)}m`, `${seconds % 60}s`];
  while (parts.length > 1 && parts[0]?.startsWith("0")) parts.shift();
  return parts.join("");
}
