/**
 * `npm run proof -- impairment [--mib-low N] [--mib-high N] [--seed N] [NUMBER…]`: the
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
  },
  allowPositionals: true,
});
const numbers = positionals.length > 0 ? positionals : COMBINATIONS.map((_, i) => String(i));
const octets = [values["mib-low"], values["mib-high"]].map((mib) => String(Number(mib) * MIB));

console.log("# Transfers through bad networks\n");
console.log(circumstances(values.seed));
console.log(
  "| # | combination | each way | time | frames lost, damaged, doubled, reordered | retransmissions | result |",
);
console.log("| --- | --- | --- | --- | --- | --- | --- |");
const child = spawn(
  "unshare",
  ["-rn", process.execPath, "--disable-warning=ExperimentalWarning", RUN, values.seed, ...octets, ...numbers],
  {
    stdio: ["ignore", "pipe", "inherit"],
  },
);
const notes: string[] = [];
let failed = 0;
let done = 0;
for await (const line of createInterface({ input: child.stdout })) {
  const result = JSON.parse(line) as ImpairedResult;
  const number = numbers[done++]!;
  if (result.faults.length + result.unexplained.length > 0) failed++;
  for (const text of [
    ...result.pauses,
    ...result.faults.map((fault) => `**fault** ${fault}`),
    ...result.unexplained.map((text) => `**unexplained** ${text}`),
  ])
    notes.push(`- ${number}: ${text}`);
  console.log(row(number, result));
}
console.log(`\n${done} of ${numbers.length} run, ${failed} failed.\n`);
console.log(notes.length === 0 ? "No pause was longer than 1 s." : `Pauses over 1 s:\n\n${notes.join("\n")}`);
process.exitCode = done === numbers.length && failed === 0 ? 0 : 1;

function row(
  number: string,
  { name, octets: each, seconds, totals: t, counters, faults, pauses, unexplained }: ImpairedResult,
): string {
  const damaged = (t.corrupted ?? 0) + (t.truncated ?? 0);
  const fates = `${t.lost ?? 0}, ${damaged}, ${t.duplicated ?? 0}, ${t.reordered ?? 0} of ${t.frames}`;
  const again = `${counters["tcp.fast-retransmit"] ?? 0} fast, ${counters["tcp.retransmission-timeout"] ?? 0} by timeout`;
  const told = `equal; ${pauses.length} pauses explained, ${unexplained.length} not`;
  const verdict = faults.length > 0 ? "**failed**" : pauses.length + unexplained.length > 0 ? told : "equal";
  return `| ${number} | ${name} | ${each / MIB} MiB | ${seconds.toFixed(1)} s | ${fates} | ${again} | ${verdict} |`;
}
