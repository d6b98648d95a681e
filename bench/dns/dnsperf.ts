import { execFile } from "node:child_process";
import { promisify } from "node:util";

export interface Load {
  readonly server: string;
  readonly port: number;
  /** One query a line, as dnsperf reads them. */
  readonly queries: string;
  readonly seconds: number;
}

const OUTSTANDING = 100;

/** Queries answered per second with a hundred outstanding, and how many were answered. */
export async function throughput(here: string[], load: Load): Promise<{ perSecond: number; answered: number }> {
  const text = await dnsperf(here, load, ["-q", String(OUTSTANDING)]);
  const answered = Number(/Queries completed:\s+(\d+)/.exec(text)?.[1]);
  const lost = Number(/Queries lost:\s+(\d+)/.exec(text)?.[1]);
  if (!/NOERROR \d+ \(100\.00%\)/.test(text) || lost > 0)
    throw new Error(`not every query was answered well:\n${text}`);
  return { perSecond: Number(/Queries per second:\s+([\d.]+)/.exec(text)?.[1]), answered };
}

/**
 * The median time of a query, in µs, at so many a second that one is answered before the next is sent. Not by `-q 1`:
 * dnsperf 2.10 then misses its own wake-up after every few queries and rests for 100 ms, so that a median of
 * the few that it sends says how often that happened.
 */
export async function latency(here: string[], load: Load, perSecond: number): Promise<number> {
  const text = await dnsperf(here, load, ["-Q", String(perSecond), "-v"]);
  const times = [...text.matchAll(/^> NOERROR .* ([\d.]+)$/gm)].map(([, time]) => Number(time) * 1e6);
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length / 2)] ?? Number.NaN;
}

async function dnsperf(here: string[], { server, port, queries, seconds }: Load, flags: string[]): Promise<string> {
  const args = ["-s", server, "-p", String(port), "-d", queries, "-l", String(seconds), "-c", "1", "-T", "1", ...flags];
  const [program, ...rest] = [...here, "dnsperf", ...args] as [string, ...string[]];
  const { stdout } = await promisify(execFile)(program, rest, { maxBuffer: 256 * 1024 * 1024 });
  return stdout;
}
