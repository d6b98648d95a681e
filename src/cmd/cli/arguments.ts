import { type Command, InvalidArgumentError, Option } from "commander";
import { formatCidr, type IpAddress, isMalformed, parseCidr, parseIp } from "../../base/mod.ts";

/** Shells that `PROGRAM completion` knows, and the first argument by which their scripts ask at each Tab. */
export const SHELLS = ["bash", "zsh", "fish"] as const;
export const COMPLETE = "__complete";

export type Format = "text" | "json" | "yaml";

/** `flags`: without `-f` where that means something else. */
export function formatOption(fallback: Format = "text", flags = "-f, --format <format>"): Option {
  return new Option(flags, "how to print it").choices(["text", "json", "yaml"]).default(fallback);
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

/** 1 or more. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new InvalidArgumentError("expected a number, 1 or more");
  return count;
}

/** A number of minutes, as `tsh login --ttl` takes it. */
export function parseMinutes(text: string): number {
  const minutes = Number(text);
  if (!Number.isInteger(minutes) || minutes < 1) throw new InvalidArgumentError("expected a number of minutes");
  return minutes;
}

/** An IPv4 or IPv6 address. */
export function parseAddress(text: string): IpAddress {
  const address = parseIp(text);
  if (isMalformed(address)) throw new InvalidArgumentError('expected an address such as "192.0.2.1"');
  return address;
}

/** Shortest and longest prefix of a range that VNet can use (`oscfg` and `vnet` have the limits, and load too much). */
const IPV4_PREFIX_LENS = [8, 27] as const;

/** A range of IPv4 addresses for VNet's names, as it is written usually. */
export function parseIpv4Cidr(text: string): string {
  const range = parseCidr(text);
  const [shortest, longest] = IPV4_PREFIX_LENS;
  const usable = !isMalformed(range) && range.base.length === 4 && formatCidr(range) === text;
  if (!usable || range.prefixLen < shortest || range.prefixLen > longest) {
    throw new InvalidArgumentError(`expected an IPv4 range of /${shortest} to /${longest}, such as "100.96.0.0/12"`);
  }
  return text;
}

export interface LocalPort {
  readonly local: number;
  /** 0: the app's only port, or its first. */
  readonly target: number;
}

/** `LOCAL` or `LOCAL:TARGET`. */
export function parseLocalPort(text: string): LocalPort {
  const match = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text);
  const [local, target] = [Number(match?.[1]), Number(match?.[2] ?? 0)];
  if (match === null || local > 65535 || target > 65535)
    throw new InvalidArgumentError("expected PORT or LOCAL:TARGET");
  return { local, target };
}

/** The options of every command that lists resources, and its labels as an argument where it takes them. */
export function addFilters(command: Command, o: { labels: "argument" | "option" }): Command {
  const text = "labels that must have these values, as env=prod,team=red";
  if (o.labels === "argument") command.argument("[labels]", text, parseLabels);
  else command.option("--labels <labels>", text, parseLabels);
  return command
    .option("--search <words>", "words that must occur, separated by commas", collectList)
    .option("--query <expression>", 'a condition, as labels["env"] == "prod" && hasPrefix(name, "db")');
}

/** `env=prod,team=red`. */
export function parseLabels(text: string): Record<string, string> {
  const pairs = collectList(text, undefined).map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) throw new InvalidArgumentError('expected labels as in "env=prod,team=red"');
    return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()] as const;
  });
  return Object.fromEntries(pairs);
}
