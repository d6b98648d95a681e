/**
 * In a network namespace of its own: `impaired-run.ts SEED OCTETS-LOW OCTETS-HIGH NUMBER…`
 * runs those of `COMBINATIONS` one after the other, `OCTETS-LOW` each way where
 * the loss is at most 1 % and `OCTETS-HIGH` above; one line of JSON for each.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type BulkResult, bulkStream } from "./bulk-side.ts";
import { COMBINATIONS, type Combination, describe, lossOf } from "./combinations.ts";
import type { Direction } from "./decision-log.ts";
import { kernelRig } from "./kernel-rig.ts";
import { explain, type Pause } from "./pause.ts";

const CLIENT = fileURLToPath(new URL("./bulk-client.ts", import.meta.url));
const WINDOW = 2 * 1024 * 1024;
/** The client may end while its kernel still has megabytes to send. Beyond the stack's and the kernel's own patience. */
const LAST_OCTETS_MS = 300_000;

export interface ImpairedResult {
  name: string;
  octets: number;
  seed: number;
  seconds: number;
  /** What went wrong; empty is good. */
  faults: string[];
  /** Pauses over 1 s that the log explains. */
  pauses: string[];
  /** And those that it does not. */
  unexplained: string[];
  totals: Record<string, number>;
  /** Of the stack's. */
  counters: Record<string, number>;
  /** What the kernel's TCP has dropped, whatever arrived. */
  kernel: Record<string, number>;
}

/** Counters of `/proc/net/netstat` for segments that arrived whole and were not taken. */
const KERNEL_DROPS = [
  "PruneCalled",
  "RcvPruned",
  "OfoPruned",
  "TCPOFODrop",
  "TCPRcvQDrop",
  "TCPBacklogDrop",
  "TCPZeroWindowDrop",
  "PAWSEstab",
  "BeyondWindow",
  "TSEcrRejected",
];

/** This namespace's `KERNEL_DROPS`, and the device's towards the kernel. */
function kernelDrops(device: string): Record<string, number> {
  const [names, values] = readFileSync("/proc/net/netstat", "utf8")
    .split("\n")
    .filter((line) => line.startsWith("TcpExt:"))
    .map((line) => line.split(" "));
  const drops = KERNEL_DROPS.map((name) => [name, Number(values![names!.indexOf(name)] ?? 0)]);
  const line = readFileSync("/proc/net/dev", "utf8")
    .split("\n")
    .find((text) => text.trim().startsWith(`${device}:`));
  // Octets, packets, errors, drops.
  return { ...Object.fromEntries(drops), rx_dropped: Number(line?.split(":")[1]?.trim().split(/ +/)[3] ?? 0) };
}

async function run(combination: Combination, subnet: number, seed: number, octets: number): Promise<ImpairedResult> {
  const ours = Promise.withResolvers<BulkResult>();
  const rig = kernelRig({
    offload: combination.offload,
    subnet,
    profile: combination.profile,
    seed,
    handlers: {
      tcp: (attempt) => ours.resolve(bulkStream(attempt.accept(), octets, WINDOW)),
      udp: () => false,
      echo: () => true,
    },
  });
  const before = kernelDrops(rig.device);
  const started = performance.now();
  const address = combination.version === 4 ? rig.far4 : rig.far6;
  const flags = ["--disable-warning=ExperimentalWarning"];
  const client = await promisify(execFile)(process.execPath, [...flags, CLIENT, address, "80", String(octets)]);
  const theirs = JSON.parse(client.stdout) as BulkResult;
  const faults: string[] = [];
  const our = await Promise.race([ours.promise, wait(LAST_OCTETS_MS, undefined, { ref: false })]);
  const seconds = (performance.now() - started) / 1000;
  if (our === undefined) faults.push("our side has not ended");
  else compare(our, theirs, octets, faults);
  const log = rig.impairment!.log;
  const pauses: string[] = [];
  const unexplained: string[] = [];
  const standstills = [...(our?.standstills ?? []), ...theirs.standstills];
  for (const pause of [...pausesOf(our, "in"), ...pausesOf(theirs, "out")]) {
    const { explained, text } = explain(log, pause, standstills);
    (explained ? pauses : unexplained).push(text);
  }
  const kernel = Object.entries(kernelDrops(rig.device)).filter(([name, count]) => count > before[name]!);
  rig.close();
  return {
    name: describe(combination),
    octets,
    seed,
    seconds,
    faults,
    pauses,
    unexplained,
    totals: log.totals(),
    counters: rig.counters.snapshot(),
    kernel: Object.fromEntries(kernel.map(([name, count]) => [name, count - before[name]!])),
  };
}

function compare(ours: BulkResult, theirs: BulkResult, octets: number, faults: string[]): void {
  if (ours.end !== "end" || theirs.end !== "end") faults.push(`ended by ${ours.end} here, ${theirs.end} there`);
  if (ours.receivedLen !== octets) faults.push(`${ours.receivedLen} octets came in`);
  if (theirs.receivedLen !== octets) faults.push(`${theirs.receivedLen} octets came out`);
  if (ours.received !== theirs.sent) faults.push("what came in is not what was sent");
  if (theirs.received !== ours.sent) faults.push("what came out is not what was sent");
}

function pausesOf(result: BulkResult | undefined, direction: Direction): Pause[] {
  return (result?.pauses ?? []).map(([startMs, endMs]) => ({ direction, startMs, endMs }));
}

const [seed, low, high, ...numbers] = process.argv.slice(2).map(Number);
for (const [at, number] of numbers.entries()) {
  const combination = COMBINATIONS[number]!;
  const octets = lossOf(combination.profile) <= 0.01 + 1e-9 ? low! : high!;
  console.log(JSON.stringify(await run(combination, at, seed! + number, octets)));
}
process.exit(0);
