/**
 * What a connection through client, proxy and agent costs, each a process of
 * its own, beside one TLS connection per stream and beside plain pipes. The
 * octets of each transfer are compared with what was sent.
 *
 * On a busy machine trust the CPU seconds and the ratios, not the rates.
 */
import { connection, Echo, startApp, transfer } from "./path/load.ts";
import { SHAPES, type Shape } from "./path/messages.ts";
import { PARTS, type Part, Path } from "./path/processes.ts";
import { report } from "./report.ts";

const ROUNDS = option("rounds", 3);
const OCTETS = option("mib", 192) * 1024 * 1024;
const CONNECTIONS = option("connections", 64);
const ROUND_TRIPS = option("round-trips", 400);
const CHATTY = option("chatty", 500);
const CHATTY_ROUND_TRIPS = 8;
/** Between a stream's answer and its next question. */
const CHATTY_PAUSE_MS = 200;
const DIRECTIONS = ["up", "down"] as const;
const STREAMS = [1, 8];

/** Processes of its own for each shape, so that none collects another's garbage. */
type Paths = Record<Shape, Path>;

/** Figures of all rounds by case and shape. */
const samples = new Map<string, Record<Shape, number[]>>();

await main();

async function main(): Promise<void> {
  const appPort = await startApp();
  using link = await Path.start(appPort);
  using tls = await Path.start(appPort);
  using raw = await Path.start(appPort);
  const paths: Paths = { link, tls, raw };
  for (const shape of SHAPES) await bulk(paths, shape, "up", 1, "warm"); // Compiled, and the pools filled.
  for (const shape of SHAPES) await bulk(paths, shape, "down", 1, "warm");
  samples.clear();
  for (let round = 0; round < ROUNDS; round++) {
    for (const streams of STREAMS) {
      for (const direction of DIRECTIONS) {
        for (const shape of SHAPES) await bulk(paths, shape, direction, streams, `${direction} ${streams}`);
      }
    }
    for (const shape of SHAPES) await connections(paths, shape);
    for (const shape of SHAPES) await roundTrips(paths, shape, "idle");
    for (const shape of SHAPES) await besideBulk(paths, shape, () => roundTrips(paths, shape, "beside bulk"));
    // A TLS connection for each of them would measure handshakes.
    for (const shape of ["link", "raw"] as const) await chatty(paths, shape, "alone");
    for (const shape of ["link", "raw"] as const) {
      await besideBulk(paths, shape, () => chatty(paths, shape, "beside bulk"));
    }
  }
  print();
}

async function bulk(
  paths: Paths,
  shape: Shape,
  direction: "up" | "down",
  streams: number,
  name: string,
): Promise<void> {
  const before = paths[shape].cpu();
  const start = performance.now();
  const each = Math.floor(OCTETS / streams);
  await Promise.all(Array.from({ length: streams }, () => transfer(paths[shape].ports[shape], direction, each)));
  const seconds = (performance.now() - start) / 1000;
  add(`${name} Gbit/s`, shape, (each * streams * 8) / 1e9 / seconds);
  const after = paths[shape].cpu();
  const cost = (part: Part) => (after[part] - before[part]) / ((each * streams) / 1e9);
  for (const part of PARTS) add(`${name} ${part} CPU s/GB`, shape, cost(part));
  add(`${name} path CPU s/GB`, shape, cost("client") + cost("proxy") + cost("agent"));
}

/** One after the other: connect, one octet and its echo, close. */
async function connections(paths: Paths, shape: Shape): Promise<void> {
  const start = performance.now();
  for (let i = 0; i < CONNECTIONS; i++) await connection(paths[shape].ports[shape]);
  add("connections 1/s", shape, CONNECTIONS / ((performance.now() - start) / 1000));
}

async function roundTrips(paths: Paths, shape: Shape, name: string): Promise<void> {
  using echo = new Echo(paths[shape].ports[shape]);
  const times: number[] = [];
  for (let i = 0; i < ROUND_TRIPS; i++) times.push(await echo.roundTrip());
  times.sort((a, b) => a - b);
  add(`round trip ${name} p50 ms`, shape, times[Math.floor(times.length / 2)]!);
  add(`round trip ${name} p99 ms`, shape, times[Math.floor(times.length * 0.99)]!);
}

/** Many connections that ask now and then, all at the same time. */
async function chatty(paths: Paths, shape: Shape, name: string): Promise<void> {
  const times: number[] = [];
  const one = async (i: number) => {
    using echo = new Echo(paths[shape].ports[shape]);
    await echo.roundTrip();
    await pause((i * CHATTY_PAUSE_MS) / CHATTY);
    for (let round = 0; round < CHATTY_ROUND_TRIPS; round++) {
      times.push(await echo.roundTrip());
      await pause(CHATTY_PAUSE_MS);
    }
  };
  await Promise.all(Array.from({ length: CHATTY }, (_, i) => one(i)));
  times.sort((a, b) => a - b);
  add(`${CHATTY} chatty streams ${name} p50 ms`, shape, times[Math.floor(times.length / 2)]!);
  add(`${CHATTY} chatty streams ${name} p99 ms`, shape, times[Math.floor(times.length * 0.99)]!);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function besideBulk(paths: Paths, shape: Shape, measure: () => Promise<void>): Promise<void> {
  const state = { over: false };
  const load = (async () => {
    while (!state.over) await transfer(paths[shape].ports[shape], "down", OCTETS / 8);
  })();
  await measure();
  state.over = true;
  await load;
}

function add(name: string, shape: Shape, value: number): void {
  const all = samples.get(name) ?? { link: [], tls: [], raw: [] };
  all[shape].push(value);
  samples.set(name, all);
}

function print(): void {
  for (const [name, { link, tls, raw }] of samples) {
    const [what, unit] = [name.slice(0, name.lastIndexOf(" ")), name.slice(name.lastIndexOf(" ") + 1)];
    for (const [reference, values] of Object.entries({ tls, raw })) {
      if (values.length === 0) continue; // Not measured so.
      report({ bench: "link", case: `${what} / ${reference}`, value: median(link), unit, reference: median(values) });
    }
  }
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function option(name: string, otherwise: number): number {
  const given = process.argv.find((arg) => arg.startsWith(`--${name}=`));
  return given === undefined ? otherwise : Number(given.slice(name.length + 3));
}
