/**
 * `npm run proof -- auth-kills [KILLS] [SEED]`: a real `teleport` killed with
 * SIGKILL at 100 random moments under writes; what must hold afterwards is
 * asserted in `src/testkit/auth-kills.ts`. A failure names the seed.
 */
import { killAuth } from "../../src/testkit/mod.ts";
import { circumstances } from "./circumstances.ts";

const kills = Number(process.argv[2] ?? 100);
const seed = Number(process.argv[3] ?? Date.now() >>> 0);
console.log(circumstances(seed));
const started = performance.now();
const found = await killAuth({ kills, seed });
const seconds = (performance.now() - started) / 1000;
const number = (n: number) => n.toLocaleString("en-US");
console.log(
  `${found.kills} kills in ${seconds.toFixed(0)} s: ${number(found.acknowledged)} acknowledged writes, all there; ` +
    `${number(found.unanswered)} unanswered, of which ${number(found.done)} were done whole and the others not at all; ` +
    `${number(found.records)} audit records, whose chain verified after every kill`,
);
