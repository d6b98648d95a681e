import { InvalidArgumentError, Option } from "commander";
import { stringify } from "yaml";
import { print } from "./program.ts";

export type Format = "text" | "json" | "yaml";

export function formatOption(fallback: Format = "text"): Option {
  return new Option("-f, --format <format>", "how to print it").choices(["text", "json", "yaml"]).default(fallback);
}

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

/** `1h30m`, `45m`, `3600s` in seconds. */
export function parseDuration(text: string): number {
  const match = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text);
  if (match === null || text === "") throw new InvalidArgumentError('expected a duration such as "1h30m" or "45m"');
  const [hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0)) as [number, number, number];
  return hours * 3600 + minutes * 60 + seconds;
}

/** A list flag: repeatable, and each value may hold several, separated by commas. */
export function collectList(value: string, before: string[] | undefined): string[] {
  return [
    ...(before ?? []),
    ...value
      .split(",")
      .map((each) => each.trim())
      .filter((each) => each !== ""),
  ];
}

export function humanDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const parts = [`${Math.floor(seconds / 3600)}h`, `${Math.floor((seconds % 3600) / 60)}m`, `${seconds % 60}s`];
  while (parts.length > 1 && parts[0]?.startsWith("0")) parts.shift();
  return parts.join("");
}
