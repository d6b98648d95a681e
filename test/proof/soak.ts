/**
 * `npm run proof -- soak [MINUTES] [SEED]`: random clients and random faults for
 * an hour, unless said otherwise. Prints Markdown; fails on a wrong octet, a
 * lost stream, or when the last third's median memory is over 1.05 × the second's.
 */
import { soak } from "../soak/soak.ts";
import { circumstances } from "./circumstances.ts";

const GROWTH = 1.05;

const minutes = Number(process.argv[2] ?? 60);
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31);
console.log("# Soak\n");
console.log(circumstances(seed));
const { faults, streams, octets, wrong, refused, rssMib } = await soak(minutes * 60, seed);
const { whole = 0, "given-up": givenUp = 0, ...lost } = streams;
const growth = rssMib[2] / rssMib[1];
const told = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts)
    .map(([what, count]) => `${what} ${count}`)
    .join(", ") || "none";
console.log(`- ${minutes} minutes; faults: ${told(faults)}`);
console.log(`- streams: ${whole} whole, ${givenUp} given up by their client; lost: ${told(lost)}`);
console.log(`- ${refused} connections refused while the proxy was away`);
console.log(`- ${Math.round(octets / 2 ** 20)} MiB compared; streams with a wrong octet: ${wrong}`);
console.log(
  `- resident memory, medians of the thirds: ${rssMib.map((mib) => mib.toFixed(0)).join(", ")} MiB; last to second ${growth.toFixed(3)}`,
);
process.exitCode = wrong === 0 && Object.keys(lost).length === 0 && growth <= GROWTH ? 0 : 1;
process.exit();
