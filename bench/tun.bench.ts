/**
 * The userspace stack behind a real TUN, beside the kernel's loopback with the
 * same endpoints, iperf3 over loopback, a plain Node relay, and slirp4netns and
 * pasta where they are installed. Everything runs in network namespaces of its
 * own, each part a process of its own; the rounds are interleaved.
 *
 * `--rounds=N --mib=N`; `--markdown` prints the table of docs/performance.md;
 * `--only='relay down 1$|node down 1$'` measures the keys that match. On a busy
 * machine trust the ratios, which compare the same round, and CPU seconds.
 */
import { spawn } from "node:child_process";
import { lacking, programPath } from "../src/testkit/mod.ts";
import type { Target } from "./tun/client.ts";
import { inside, output, Part } from "./tun/processes.ts";
import type { Mode, Request } from "./tun/protocol.ts";
import { startReferences } from "./tun/references.ts";
import { median, print, Samples } from "./tun/samples.ts";
import { comparisons } from "./tun/wanted.ts";

const ROUNDS = Number(option("rounds", "5"));
const OCTETS = Number(option("mib", "1024")) * 1024 * 1024;
const ONLY = new RegExp(option("only", ""));
/** A segment of 1,460 octets at a time is slow; the figure is a rate. */
const OCTETS_SEGMENTS = OCTETS / 4;
/** pasta of Debian 12 resets an upload of 128 MiB. */
const OCTETS_REFERENCES = Math.min(OCTETS_SEGMENTS, 64 * 1024 * 1024);
const CONNECTIONS = 500;
const ROUND_TRIPS = 1_000;
const PINGS = 300;
const IDLE = 1_000;
const DIRECTIONS: readonly Mode[] = ["up", "down"];

const samples = new Samples();
async function main(): Promise<void> {
  const unshare = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"];
  const [server, port] = await Part.start<number>(unshare, "server.ts");
  const here = inside(server);
  const [relay, relayPort] = await Part.start<number>(here, "relay.ts", port);
  const [stack] = await Part.start(here, "stack.ts", 0, 1500, 1, port);
  const [segments] = await Part.start(here, "stack.ts", 1, 1500, 0, port);
  const [large] = await Part.start(here, "stack.ts", 2, 16384, 0, port);
  const [client] = await Part.start(here, "client.ts");
  const loopback = { host: "127.0.0.1", port };
  const bench = new Bench(client);
  const references = await startReferences(here, port);
  const iperf =
    programPath("iperf3") === undefined
      ? undefined
      : spawn(here[0]!, [...here.slice(1), "iperf3", "-s"], { stdio: "ignore" });

  const bulk = async (hash: boolean) => {
    const suffix = hash ? " hashed" : "";
    for (const direction of DIRECTIONS) {
      const go = (name: string, target: Target, flows: number, part?: Part, octets = OCTETS) =>
        bench.bulk(`${name} ${direction} ${flows}${suffix}`, target, { mode: direction, octets, hash }, flows, part);
      const iperfKey = `iperf3 ${direction} 1`;
      await go("loopback", loopback, 1, server);
      await go("own", { host: "10.90.0.2", port: 80 }, 1, stack);
      if (iperf !== undefined && !hash && ONLY.test(iperfKey)) samples.add(iperfKey, await iperf3(here, direction));
      await go("node", { host: "127.0.0.1", port: relayPort }, 1, relay);
      await go("relay", { host: "10.90.0.2", port: 81 }, 1, stack);
      await go("large", { host: "10.90.2.2", port: 81 }, 1, large);
      await go("segments", { host: "10.90.1.2", port: 81 }, 1, segments, OCTETS_SEGMENTS);
      for (const { name, host, near, cpu } of references) {
        await new Bench(near).bulk(
          `${name} ${direction} 1${suffix}`,
          { host, port },
          { mode: direction, octets: OCTETS_REFERENCES, hash },
          1,
          cpu,
        );
      }
      await go("loopback", loopback, 16, server);
      await go("node", { host: "127.0.0.1", port: relayPort }, 16, relay);
      await go("relay", { host: "10.90.0.2", port: 81 }, 16, stack);
    }
  };

  await bulk(false); // compiled, and the pools filled
  samples.clear();
  for (let round = 0; round < ROUNDS; round++) {
    await bulk(false);
    for (const [name, target] of [
      ["loopback", loopback],
      ["own", { host: "10.90.0.2", port: 80 }],
    ] as const) {
      await bench.connections(name, target);
      await bench.roundTrips(name, target);
      await ping(here, name, target.host);
    }
  }
  await bulk(true);
  if (ONLY.test("idle heap")) await idleMemory(stack, client);
  print(samples, comparisons());
  iperf?.kill();
  for (const reference of references) reference.stop();
  for (const part of [client, stack, segments, large, relay, server]) part.stop();
}

async function idleMemory(stack: Part, client: Part): Promise<void> {
  const before = await stack.ask<NodeJS.MemoryUsage>("memory");
  samples.add("rss", before.rss / 2 ** 20);
  await client.run({ job: "hold", host: "10.90.0.2", port: 80, count: IDLE });
  const after = await stack.ask<NodeJS.MemoryUsage>("memory");
  samples.add("idle heap", (after.heapUsed + after.external - before.heapUsed - before.external) / IDLE);
}

/** The client's jobs, and what they come to. */
class Bench {
  readonly #client: Part;

  constructor(client: Part) {
    this.#client = client;
  }

  async bulk(key: string, target: Target, request: Request, flows: number, cpu?: { cpu(): number }): Promise<void> {
    if (!ONLY.test(key)) return;
    const before = cpu?.cpu() ?? 0;
    const octets = Math.floor(request.octets / flows);
    const { seconds } = await this.#client.run({ job: "bulk", ...target, ...request, octets, flows });
    samples.add(key, (octets * flows * 8) / 1e9 / seconds);
    if (cpu !== undefined) samples.add(`${key} cpu`, (cpu.cpu() - before) / ((octets * flows) / 1e9));
  }

  async connections(name: string, target: Target): Promise<void> {
    for (const atOnce of [1, 16]) {
      if (!ONLY.test(`${name} connect ${atOnce}`)) continue;
      const { seconds, timesMs } = await this.#client.run({ job: "connect", ...target, count: CONNECTIONS, atOnce });
      samples.add(`${name} connect ${atOnce}`, median(timesMs) * 1_000);
      samples.add(`${name} rate ${atOnce}`, CONNECTIONS / seconds);
    }
  }

  async roundTrips(name: string, target: Target): Promise<void> {
    if (!ONLY.test(`${name} tcp`)) return;
    const { timesMs } = await this.#client.run({ job: "round-trips", ...target, count: ROUND_TRIPS });
    samples.add(`${name} tcp`, median(timesMs) * 1_000);
  }
}

async function ping(here: string[], name: string, host: string): Promise<void> {
  if (programPath("ping") === undefined || !ONLY.test(`${name} ping`)) return;
  const text = await output([...here, "ping", "-n", "-c", String(PINGS), "-i", "0.002", host]);
  const times = [...text.matchAll(/time=([\d.]+) ms/g)].map((match) => Number(match[1]) * 1_000);
  samples.add(`${name} ping`, median(times));
}

/** Gbit/s of one flow over loopback. */
async function iperf3(here: string[], direction: Mode): Promise<number> {
  const reverse = direction === "down" ? ["-R"] : [];
  const text = await output([...here, "iperf3", "-c", "127.0.0.1", "-t", "1", "-J", ...reverse]);
  const report = JSON.parse(text) as { end: { sum_received: { bits_per_second: number } } };
  return report.end.sum_received.bits_per_second / 1e9;
}

function option(name: string, fallback: string): string {
  const given = process.argv.find((arg) => arg.startsWith(`--${name}=`));
  return given === undefined ? fallback : given.slice(name.length + 3);
}

const missing = lacking("tun") ?? lacking("userns") ?? lacking("ip");
if (missing === undefined) await main();
else console.error(`tun: not run, ${missing}`);
process.exit(0);
