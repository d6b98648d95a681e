/**
 * The whole path from a client through proxy and agent to an app's server, beside a Node chain that ends TLS at the
 * proxy as Teleport does, three plain relays, loopback itself, and two of haproxy or stunnel where one is installed.
 * Our path begins at an address of VNet or at a local port of `tsh proxy app`. Each part of each path is a process of
 * its own, so are the load, the bulk beside it and the server; all in one network namespace. The octets of each
 * transfer are compared with what was sent; the rounds are interleaved.
 *
 * `--rounds=N --mib=N`; `--markdown` prints the table of docs/performance.md; `--only='up 1|idle'` measures the keys
 * that match, such as `vnet up 1`. On a busy machine trust the ratios, which compare the same round.
 */
import { setTimeout as wait } from "node:timers/promises";
import { lacking } from "../src/testkit/mod.ts";
import { idleStreams } from "./path/idle.ts";
import { type Path, ROLES, startLink, startPlain, startTerminating } from "./path/paths.ts";
import { startTlsPair } from "./path/tls-pair.ts";
import { comparisons, DIRECTIONS, STREAMS } from "./path/wanted.ts";
import { inside, Part } from "./tun/processes.ts";
import type { Mode, Request } from "./tun/protocol.ts";
import { median, print, Samples } from "./tun/samples.ts";

const ROUNDS = Number(option("rounds", "3"));
const OCTETS = Number(option("mib", "256")) * 1024 * 1024;
const ONLY = new RegExp(option("only", ""));
const CONNECTIONS = 256;
/** A session may make 20 connections to the proxy at once, and 10 each second. */
const COLD_CONNECTIONS = 10;
/** Alone as fast as they go; beside a bulk stream spread over it. */
const ROUND_TRIPS = { idle: { count: 1_500 }, beside: { count: 250, pauseMs: 4 } } as const;
const CHATTY = { job: "chatty", count: 500, times: 8, pauseMs: 200 } as const;
const IDLE_STREAMS = Number(option("idle", "9999"));

const samples = new Samples();
/** Why VNet's part cannot be measured here. */
const withoutTun = lacking("tun") ?? lacking("userns") ?? lacking("ip") ?? lacking("nsenter");
const ENTRIES = withoutTun === undefined ? (["tun", "ports"] as const) : (["ports"] as const);

async function main(): Promise<void> {
  const unshare = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"];
  const [target, port] = await Part.start<number>(withoutTun === undefined ? unshare : [], "server.ts");
  const here = withoutTun === undefined ? inside(target) : [];
  const [near] = await Part.start(here, "client.ts");
  const [beside] = await Part.start(here, "client.ts");
  const paths = await startPaths(here, port);
  const bench = new Bench(near, beside);
  for (let round = 0; round <= ROUNDS; round++) {
    await bench.round(paths);
    if (round === 0) samples.clear(); // compiled by now, and the pools filled
  }
  for (const path of paths) path.stop();
  for (const entry of ENTRIES) {
    if (!ONLY.test(`${entry === "tun" ? "vnet" : "link"} memory`)) continue;
    const path = await startLink(here, port, entry);
    await idleStreams(samples, path, near, IDLE_STREAMS);
    path.stop();
  }
  print(samples, comparisons(), "link");
  for (const part of [near, beside, target]) part.stop();
}

async function startPaths(here: string[], port: number): Promise<Path[]> {
  const loopback = { host: "127.0.0.1", port };
  const direct: Path = { name: "direct", entries: [loopback], cold: loopback, cpu: {}, parts: {}, stop() {} };
  const ours: Path[] = [];
  for (const entry of ENTRIES) ours.push(await startLink(here, port, entry));
  const pair = await startTlsPair(here, port);
  return [
    ...ours,
    await startTerminating(here, port),
    await startPlain(here, port),
    ...(pair === undefined ? [] : [pair]),
    direct,
  ];
}

/** The jobs of the load, and what they come to. */
class Bench {
  readonly #near: Part;
  readonly #beside: Part;

  constructor(near: Part, beside: Part) {
    this.#near = near;
    this.#beside = beside;
  }

  async round(paths: readonly Path[]): Promise<void> {
    for (const way of DIRECTIONS) {
      for (const streams of STREAMS) for (const path of paths) await this.#bulk(path, way, streams);
    }
    for (const path of paths) await this.#cold(path);
    for (const atOnce of [1, 16]) for (const path of paths) await this.#connections(path, atOnce);
    for (const path of paths) await this.#roundTrips(path, "idle", ROUND_TRIPS.idle);
    for (const way of DIRECTIONS) {
      for (const path of paths)
        await this.#besideBulk(path, way, () => this.#roundTrips(path, `beside ${way}`, ROUND_TRIPS.beside));
    }
    // A TLS connection for each of them would measure handshakes.
    for (const path of paths.filter(({ name }) => name !== "terminating")) {
      await this.#crowd(path, "alone");
      await this.#besideBulk(path, "down", () => this.#crowd(path, "beside"));
    }
  }

  async #bulk(path: Path, way: Mode, streams: number): Promise<void> {
    const key = `${path.name} ${way} ${streams}`;
    if (!ONLY.test(key)) return;
    const before = ROLES.map((role) => path.cpu[role]?.cpu());
    const octets = Math.floor(OCTETS / streams);
    const { seconds } = await this.#near.run({
      job: "bulk",
      ...path.entries[0]!,
      ...bulk(way, octets),
      flows: streams,
    });
    const gigabytes = (octets * streams) / 1e9;
    samples.add(key, (gigabytes * 8) / seconds);
    const costs = ROLES.map((role, i) => ((path.cpu[role]?.cpu() ?? Number.NaN) - (before[i] ?? 0)) / gigabytes);
    if (costs.some(Number.isNaN)) return;
    for (const [i, role] of ROLES.entries()) samples.add(`${key} ${role}`, costs[i]!);
    samples.add(`${key} all three`, costs[0]! + costs[1]! + costs[2]!);
  }

  async #cold(path: Path): Promise<void> {
    const key = `${path.name} cold`;
    if (!ONLY.test(key)) return;
    await wait(1_000);
    const { timesMs } = await this.#near.run({ job: "exchange", ...path.cold, count: COLD_CONNECTIONS, atOnce: 1 });
    samples.add(key, median(timesMs));
  }

  async #connections(path: Path, atOnce: number): Promise<void> {
    const key = `${path.name} connections ${atOnce}`;
    if (!ONLY.test(key)) return;
    const { seconds, timesMs } = await this.#near.run({
      job: "exchange",
      ...path.entries[0]!,
      count: CONNECTIONS,
      atOnce,
    });
    samples.add(key, CONNECTIONS / seconds);
    if (atOnce === 1) samples.add(`${path.name} exchange`, median(timesMs));
  }

  async #roundTrips(path: Path, when: string, trips: { count: number; pauseMs?: number }): Promise<void> {
    const key = `${path.name} ${when}`;
    if (!ONLY.test(key)) return;
    const { timesMs } = await this.#near.run({ job: "round-trips", ...path.entries[0]!, ...trips });
    samples.add(`${key} p50`, median(timesMs));
    samples.add(`${key} p99`, p99(timesMs));
  }

  async #crowd(path: Path, when: string): Promise<void> {
    const key = `${path.name} crowd ${when}`;
    if (!ONLY.test(key)) return;
    const { timesMs } = await this.#near.run({ ...CHATTY, ...path.entries[0]! });
    samples.add(key, p99(timesMs));
  }

  /** `measure` while another process moves all that the path takes. */
  async #besideBulk(path: Path, way: Mode, measure: () => Promise<void>): Promise<void> {
    if (!ONLY.test(`${path.name} beside ${way}`) && !ONLY.test(`${path.name} crowd beside`)) return;
    const state = { over: false };
    const load = (async () => {
      while (!state.over) await this.#beside.run({ job: "bulk", ...path.entries[0]!, ...bulk(way, OCTETS), flows: 1 });
    })();
    await wait(100);
    await measure();
    state.over = true;
    await load;
  }
}

function bulk(mode: Mode, octets: number): Request {
  return { mode, octets, hash: false, compare: true };
}

function p99(times: number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)]!;
}

function option(name: string, fallback: string): string {
  const given = process.argv.find((arg) => arg.startsWith(`--${name}=`));
  return given === undefined ? fallback : given.slice(name.length + 3);
}

if (withoutTun !== undefined) console.error(`link: without VNet, ${withoutTun}`);
await main();
process.exit(0);
