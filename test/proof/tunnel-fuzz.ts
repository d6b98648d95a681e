/**
 * `npm run proof -- tunnel-fuzz [INPUTS] [SEED]`: five million hostile inputs to
 * everything of the tunnel that strangers or peers can reach; what must hold of
 * every one is asserted in `src/testkit/tunnel-fuzz.ts`. A failure names the
 * seed and the input.
 */
import { fuzzTunnel } from "../../src/testkit/mod.ts";

const PART = 250_000;

const count = Number(process.argv[2] ?? 5_000_000);
const seed = Number(process.argv[3] ?? Date.now() >>> 0);
console.log(`seed ${seed}, ${count} inputs`);
const sums: Record<string, Record<string, number>> = {};
const started = performance.now();
for (let done = 0; done < count; done += PART) {
  // Each part has a seed of its own, so that a failure is found again soon.
  const found = await fuzzTunnel((seed + done) >>> 0, Math.min(PART, count - done));
  for (const [kind, part] of Object.entries(found)) sums[kind] = added(sums[kind] ?? {}, part);
}
const seconds = (performance.now() - started) / 1000;
for (const [kind, found] of Object.entries(sums)) {
  const rows = Object.entries(found).sort(([, a], [, b]) => b - a);
  console.log(`${kind}: ${rows.map(([what, n]) => `${what} ${n.toLocaleString("en-US")}`).join(", ")}`);
}
const heapMb = process.memoryUsage().heapUsed / 2 ** 20;
console.log(
  `no exception, no broken rule; ${seconds.toFixed(0)} s, ${Math.round(count / seconds)} inputs/s, heap ${heapMb.toFixed(0)} MiB`,
);

function added(sum: Record<string, number>, part: Record<string, number>): Record<string, number> {
  const all = { ...sum };
  for (const [what, n] of Object.entries(part)) all[what] = (all[what] ?? 0) + n;
  return all;
}
