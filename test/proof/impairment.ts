/**
 * `npm run proof -- impairment [--mib-low N] [--mib-high N] [--seed N] [--processes N] [NUMBER…]`: the
 * kernel's TCP and the stack move random octets both ways at once through
 * every bad network of `test/packet/combinations.ts`, by default 1,024 MiB each
 * way where the loss is at most 1 % and 64 MiB above. SHA-256 at both ends;
 * every pause over 1 s must be covered by the shim's log. Prints Markdown.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { COMBINATIONS } from "../packet/combinations.ts";
import type { ImpairedResult } from "../packet/impaired-run.ts";
import { circumstances } from "./circumstances.ts";

const RUN = fileURLToPath(new URL("../packet/impaired-run.ts", import.meta.url));
const MIB = 1024 * 1024;

const { values, positionals } = parseArgs({
  options: {
    "mib-low": { type: "string", default: "1024" },
    "mib-high": { type: "string", default: "64" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    processes: { type: "string", default: "3" },
  },
  allowPositionals: true,
});
const numbers = positionals.length > 0 ? positionals.map(Number) : COMBINATIONS.map((_, i) => i);
const octets = [values["mib-low"], values["mib-high"]].map((mib) => String(Number(mib) * MIB));

const results = new Map<number, ImpairedResult>();
const left = [...numbers];
await Promise.all(Array.from({ length: Number(values.processes) }, worker));
const notes = numbers.flatMap((number) => notesOf(number, results.get(number)));
const failed = numbers.filter((number) => !isGood(results.get(number))).length;

console.log("# Transfers through bad networks\n");
console.log(circumstances(values.seed));
console.log(
  "| # | combination | each way | time | frames lost, damaged, doubled, reordered | dropped by the kernel | retransmissions of ours | result |",
);
console.log("| --- | --- | --- | --- | --- | --- | --- | --- |");
for (const number of numbers) console.log(row(number, results.get(number)));
console.log(`\n${numbers.length} run, ${values.processes} at a time, ${failed} failed.\n`);
console.log(notes.length === 0 ? "No pause was longer than 1 s." : `Pauses over 1 s:\n\n${notes.join("\n")}`);
process.exitCode = failed === 0 ? 0 : 1;

/** Runs what is left, each in a network namespace of its own. */
async function worker(): Promise<void> {
  for (let number = left.shift(); number !== undefined; number = left.shift()) {
    const args = ["-rn", process.execPath, "--disable-warning=ExperimentalWarning", RUN, values.seed, ...octets];
    const child = spawn("unshare", [...args, String(number)], { stdio: ["ignore", "pipe", "inherit"] });
    for await (const line of createInterface({ input: child.stdout })) results.set(number, JSON.parse(line));
    console.error(row(number, results.get(number)));
  }
}

function isGood(result: ImpairedResult | undefined): boolean {
  return result !== undefined && result.faults.length + result.unexplained.length === 0;
}

function notesOf(number: number, result: ImpairedResult | undefined): string[] {
  if (result === undefined) return [`- ${number}: **fault** no result`];
  const faults = result.faults.map((fault) => `**fault** ${fault}`);
  const unexplained = result.unexplained.map((text) => `**unexplained** ${text}`);
  return [...result.pauses, ...faults, ...unexplained].map((text) => `- ${number}: ${text}`);
}

function row(number: number, result: ImpairedResult | undefined): string {
  if (result === undefined) return `| ${number} | **no result** |`;
  const { name, octets: each, seconds, totals: t, counters, kernel, faults, pauses, unexplained } = result;
  const damaged = (t.corrupted ?? 0) + (t.truncated ?? 0);
  const fates = `${t.lost ?? 0}, ${damaged}, ${t.duplicated ?? 0}, ${t.reordered ?? 0} of ${t.frames}`;
  const drops = Object.entries(kernel).map(([name, count]) => `${name} ${count}`);
  const count = (what: string) => counters[`tcp.${what}`] ?? 0;
  const again = `${count("fast-retransmit")} fast, ${count("tail-probe")} probes, ${count("retransmission-timeout")} by timeout`;
  const told = `equal; ${pauses.length} pauses explained, ${unexplained.length} not`;
  const verdict = faults.length > 0 ? "**failed**" : pauses.length + unexplained.length > 0 ? told : "equal";
  return `| ${number} | ${name} | ${each / MIB} MiB | ${seconds.toFixed(1)} s | ${fates} | ${drops.join(", ") || 0} | ${again} | ${verdict} |`;
}
