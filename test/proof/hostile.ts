/**
 * `npm run proof -- hostile [--frames N] [--seed N]`: 20 million hostile frames,
 * half of them in each of two threads, each with a stack of its own; afterwards
 * 1,000 connections through each stack move 64 KiB there and back, and the heap
 * after a forced collection is within 8 MiB of before. Where nmap and
 * scapy are installed they attack a stack too, over a real TUN. Prints Markdown.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { lacking } from "../../src/testkit/mod.ts";
import { type HostileResult, hostileRun } from "../packet/hostile-run.ts";
import type { ScanResult } from "../packet/scan-run.ts";
import { circumstances } from "./circumstances.ts";

const THREADS = 2;
const CONNECTIONS = 1_000;
const GROWTH_MAX = 8 * 1024 * 1024;

if (isMainThread) await main();
else parentPort!.postMessage(await hostileRun(workerData.seed, workerData.frames, CONNECTIONS));

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      frames: { type: "string", default: "20000000" },
      seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
    },
  });
  const frames = Math.ceil(Number(values.frames) / THREADS);
  const seeds = Array.from({ length: THREADS }, (_, i) => Number(values.seed) + i);
  const results = await Promise.all(seeds.map((seed) => inThread(seed, frames)));
  console.log("# Hostile input\n");
  console.log(circumstances(values.seed));
  console.log(
    "| seed | frames | frames/s | exceptions | connections accepted during it | octets taken | frames sent by the stack | afterwards right | heap growth | frames held |",
  );
  console.log("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
  for (const r of results) {
    const cells = [
      r.seed,
      r.frames,
      Math.round(r.frames / r.seconds),
      r.exception === undefined ? 0 : `**${r.exception}**`,
      r.accepted,
      r.taken,
      r.emitted,
      `${r.connectionsRight} of ${CONNECTIONS}`,
      `${(r.growth / 1024).toFixed(0)} KiB`,
      r.heldAfter,
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
  console.log(
    `\nCounters of the first thread:\n\n\`\`\`json\n${JSON.stringify(results[0]?.counters, null, 1)}\n\`\`\``,
  );
  process.exitCode = results.every(good) && scan(values.seed) ? 0 : 1;
}

/** False when the stack was harmed. */
function scan(seed: string): boolean {
  console.log("\n## nmap and scapy\n");
  const missing = (["nmap", "scapy"] as const).flatMap((need) => lacking(need) ?? []);
  if (missing.length > 0) {
    console.log(`Not run: ${missing.join(", ")}.`);
    return true;
  }
  const run = fileURLToPath(new URL("../packet/scan-run.ts", import.meta.url));
  const flags = ["-rn", process.execPath, "--disable-warning=ExperimentalWarning"];
  const child = spawnSync("unshare", [...flags, run, "1-1000", "1-100", "100000", seed], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { tools, goesOn, transferRight, connectionsLeft, counters } = JSON.parse(child.stdout) as ScanResult;
  for (const { command, lines } of tools) console.log(`\`${command}\`\n\n${lines.map((l) => `- ${l}`).join("\n")}\n`);
  console.log(
    `A connection from before ${goesOn ? "went on" : "**did not go on**"}. Afterwards 4 MiB each way: ${transferRight ? "equal" : "**not equal**"}; connections left: ${connectionsLeft}; counters ${JSON.stringify(counters)}`,
  );
  return goesOn && transferRight && connectionsLeft === 0;
}

function good(r: HostileResult): boolean {
  return r.exception === undefined && r.connectionsRight === CONNECTIONS && r.growth < GROWTH_MAX && r.heldAfter === 0;
}

function inThread(seed: number, frames: number): Promise<HostileResult> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { seed, frames } });
    worker.on("message", resolve);
    worker.on("error", reject);
  });
}
