/**
 * `npm run proof -- api-fuzz [REQUESTS] [SEED]`: 100,000 requests that the
 * API's own schemas suggest, as each kind of caller, through TLS and HTTP/2.
 * What must hold of every one is asserted in `test/api/fuzz-run.ts`.
 */
import assert from "node:assert/strict";
import { fuzzApi } from "../api/fuzz-run.ts";
import { circumstances } from "./circumstances.ts";

const ALLOWANCE = 20 * 2 ** 20; // octets
const WARM_UP = 0.05;

const requests = Number(process.argv[2] ?? 100_000);
const seed = Number(process.argv[3] ?? Date.now() >>> 0);
console.log(circumstances(seed));
const started = performance.now();
const { answers, heapBefore, heapAfter } = await fuzzApi(seed, requests, Math.floor(requests * WARM_UP));
const seconds = (performance.now() - started) / 1000;
const statuses = [...new Set([...answers.values()].flatMap((counts) => [...counts.keys()]))].sort();
console.log(`| method | ${statuses.join(" | ")} |`);
console.log(`| --- | ${statuses.map(() => "---").join(" | ")} |`);
for (const [method, counts] of [...answers].sort(([a], [b]) => a.localeCompare(b))) {
  console.log(`| ${method} | ${statuses.map((status) => counts.get(status) ?? 0).join(" | ")} |`);
}
const mib = (octets: number) => (octets / 2 ** 20).toFixed(1);
console.log(`\n${requests} requests in ${seconds.toFixed(0)} s, no 5xx, every answer by its schema.`);
console.log(
  `Heap after a forced collection: ${mib(heapBefore)} MiB after ${WARM_UP * 100} %, ${mib(heapAfter)} MiB at the end.`,
);
assert.ok(heapAfter - heapBefore <= ALLOWANCE, "the heap has grown by more than 20 MiB");
