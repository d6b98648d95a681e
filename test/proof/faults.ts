/**
 * `npm run proof -- faults [STREAMS] [short]`: faults of every part under live
 * streams, 200 unless said otherwise, each octet of which is checked at both
 * ends, with pgbench beside them. Prints the table of docs/faults.md. Needs root.
 */
import { FaultCluster } from "../e2e/fault-cluster.ts";
import { type FaultResult, inflict } from "../e2e/fault-run.ts";
import { FAULTS } from "../e2e/faults.ts";
import { circumstances } from "./circumstances.ts";

const streams = Number(process.argv[2] ?? 200);
const form = process.argv[3] === "short" ? 0 : 1;

console.log(circumstances(undefined));
console.log("| fault | lasts | streams whole | reset, the last after | longest pause | octets | pgbench | |");
console.log("| --- | --- | --- | --- | --- | --- | --- | --- |");
let failed = 0;
await using cluster = await FaultCluster.start();
for (const fault of FAULTS) {
  const result = await inflict(cluster, fault, { streams, seconds: fault.seconds[form], pgbench: true });
  if (result.problems.length > 0) failed++;
  console.log(row(result, fault.survives));
}
process.exitCode = failed === 0 ? 0 : 1;

function row(result: FaultResult, survives: "all" | "none"): string {
  const { name, seconds, whole, reset, resetMs, pauseMs, octets, transactions, problems } = result;
  const cells = [
    name,
    `${seconds} s`,
    `${whole} of ${result.streams}`,
    reset === 0 ? "0" : `${reset}, ${(resetMs / 1000).toFixed(1)} s`,
    survives === "all" ? `${(pauseMs / 1000).toFixed(1)} s` : "",
    `${(octets / 2 ** 20).toFixed(1)} MiB`,
    transactions === undefined ? "–" : `${transactions} transactions`,
    problems.length === 0 ? "" : `**${problems.join("; ")}**`,
  ];
  return `| ${cells.join(" | ")} |`;
}
