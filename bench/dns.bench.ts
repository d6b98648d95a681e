/**
 * VNet's DNS server behind a real TUN, beside dnsmasq and unbound on loopback where they are installed, and a bare Node
 * responder; then forwarding, to the same upstream, beside dnsmasq without its cache and the upstream itself. One
 * client for all, dnsperf, in one network namespace; the rounds are interleaved.
 *
 * `--rounds=N --seconds=N`; `--markdown` prints the table of docs/performance.md.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lacking } from "../src/testkit/mod.ts";
import { latency, throughput } from "./dns/dnsperf.ts";
import { DNS_ADDRESS, FORWARDED_NAMES, LOCAL_NAMES } from "./dns/names.ts";
import { type DnsProcess, startDnsmasq, startResponder, startUnbound } from "./dns/references.ts";
import { inside, Part } from "./tun/processes.ts";
import { type Comparison, print, Samples } from "./tun/samples.ts";

const ROUNDS = option("rounds", 3);
const SECONDS = option("seconds", 2);
const [UPSTREAM_PORT, DNSMASQ_PORT, UNBOUND_PORT, NODE_PORT] = [5300, 5301, 5302, 5303];

/** One query at a time, so many a second: on a machine that is awake, and on one that rests in between. */
const PACES = { awake: 1000, rested: 100 } as const;

const CASES = {
  rate: "queries per second",
  awake: `p50 of one at a time, ${PACES.awake} a second`,
  rested: `p50 of one at a time, ${PACES.rested} a second`,
  cpu: "CPU per query",
};

const samples = new Samples();

async function main(dir: string): Promise<void> {
  const unshare = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"];
  const [holder] = await Part.start(unshare, "../dns/responder.ts", 5399);
  const here = inside(holder);
  const upstream = (await startUnbound(here, dir, UPSTREAM_PORT)) ?? (await startResponder(here, UPSTREAM_PORT));
  const [part] = await Part.start(here, "../dns/vnet.ts", UPSTREAM_PORT);
  const vnet = { name: "vnet", server: DNS_ADDRESS, port: 53, cpu: () => part.cpu(), stop: () => part.stop() };
  const dnsmasq = await startDnsmasq(here, dir, DNSMASQ_PORT, UPSTREAM_PORT);
  const unbound = await startUnbound(here, dir, UNBOUND_PORT);
  const node = await startResponder(here, NODE_PORT);
  const local = [vnet, dnsmasq, unbound, node].filter((each) => each !== undefined);
  const forwarding = [vnet, dnsmasq, { ...upstream, name: "direct" }].filter((each) => each !== undefined);
  for (let round = 0; round <= ROUNDS; round++) {
    for (const each of local) await measure(here, "local", each, queryFile(dir, "local", LOCAL_NAMES));
    for (const each of forwarding) await measure(here, "forwarded", each, queryFile(dir, "forwarded", FORWARDED_NAMES));
    if (round === 0) samples.clear(); // compiled by now
  }
  for (const each of [vnet, dnsmasq, unbound, node, upstream]) each?.stop();
  holder.stop();
  print(samples, comparisons(), "dns");
}

async function measure(here: string[], kind: string, { name, server, port, cpu }: DnsProcess, queries: string) {
  const load = { server, port, queries, seconds: SECONDS };
  const before = cpu();
  const { perSecond, answered } = await throughput(here, load);
  samples.add(`${name} ${kind} rate`, perSecond);
  samples.add(`${name} ${kind} cpu`, ((cpu() - before) / answered) * 1e6);
  for (const [key, pace] of Object.entries(PACES)) {
    samples.add(`${name} ${kind} ${key}`, await latency(here, { ...load, seconds: SECONDS / 2 }, pace));
  }
}

function queryFile(dir: string, kind: string, names: readonly string[]): string {
  const file = join(dir, kind);
  writeFileSync(file, names.map((name) => `${name} A\n`).join(""));
  return file;
}

function comparisons(): Comparison[] {
  const line = (
    kind: string,
    what: keyof typeof CASES,
    unit: string,
    other: string,
    limit: object = {},
  ): Comparison => ({
    case: `${kind}: ${CASES[what]}`,
    unit,
    ours: `vnet ${kind} ${what}`,
    reference: { name: other, key: `${other} ${kind} ${what}` },
    ...limit,
  });
  const lines = (kind: string, other: string, limits: { rate?: object; p50?: object } = {}) => [
    line(kind, "rate", "1/s", other, limits.rate),
    line(kind, "awake", "µs", other, limits.p50),
    line(kind, "rested", "µs", other, limits.p50),
    line(kind, "cpu", "µs", other),
  ];
  return [
    ...lines("local", "dnsmasq", { rate: { atLeast: 1 }, p50: { atMost: 2 } }),
    ...lines("local", "unbound"),
    ...lines("local", "node"),
    ...lines("forwarded", "dnsmasq", { rate: { atLeast: 1 }, p50: { atMost: 1 } }),
    ...lines("forwarded", "direct"),
  ];
}

function option(name: string, fallback: number): number {
  const given = process.argv.find((arg) => arg.startsWith(`--${name}=`));
  return given === undefined ? fallback : Number(given.slice(name.length + 3));
}

const missing = lacking("tun") ?? lacking("userns") ?? lacking("ip") ?? lacking("nsenter") ?? lacking("dnsperf");
if (missing === undefined) {
  const dir = mkdtempSync(join(tmpdir(), "vnet-bench-dns-"));
  try {
    await main(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
} else console.error(`dns: not run, ${missing}`);
process.exit(0);
