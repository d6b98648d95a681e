/**
 * `npm run proof -- dns-fuzz [MESSAGES] [SEED]`: five million hostile messages
 * through the DNS codec and server; what must hold of every one is asserted in
 * `src/testkit/dns-fuzz.ts`. A failure names the seed and the message.
 */
import { fuzzDns } from "../../src/testkit/mod.ts";

const PART = 250_000;

const count = Number(process.argv[2] ?? 5_000_000);
const seed = Number(process.argv[3] ?? Date.now() >>> 0);
console.log(`seed ${seed}, ${count} messages`);
const sums = { queries: {}, answers: {}, replies: {} };
let oracle = 0;
const started = performance.now();
for (let done = 0; done < count; done += PART) {
  // Each part has a seed of its own, so that a failure is found again soon.
  const result = await fuzzDns((seed + done) >>> 0, Math.min(PART, count - done));
  for (const kind of ["queries", "answers", "replies"] as const) add(sums[kind], result[kind]);
  oracle += result.oracle;
}
const seconds = (performance.now() - started) / 1000;
for (const [kind, found] of Object.entries(sums)) {
  const rows = Object.entries<number>(found).sort(([, a], [, b]) => b - a);
  console.log(`${kind}: ${rows.map(([what, n]) => `${what} ${n}`).join(", ")}`);
}
console.log(`dns-packet agreed with ${oracle} replies`);
console.log(`no exception, no broken rule; ${seconds.toFixed(0)} s, ${Math.round(count / seconds)} messages/s`);

function add(sum: Record<string, number>, part: Record<string, number>): void {
  for (const [what, n] of Object.entries(part)) sum[what] = (sum[what] ?? 0) + n;
}
