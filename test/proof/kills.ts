/**
 * `npm run proof -- kills [COUNT [SEED]]`: kill -9 of launcher, user process,
 * guard and systemd-resolved, alone and together, at 50 random moments. Prints
 * Markdown. As root, with what `scripts/test-layers.sh` makes.
 */
import { type Kill, killAtRandom } from "../e2e/host-kills.ts";
import { circumstances } from "./circumstances.ts";

const [count = 50, seed = Math.floor(Math.random() * 2 ** 32)] = process.argv.slice(2).map(Number);
console.log("# kill -9 at random moments\n");
console.log(circumstances(seed));
console.log(
  "| killed | of these there | ms after the start | outcome | ms after the kill |\n| --- | --- | --- | --- | --- |",
);
const row = ({ victims, found, delayMs, outcome, afterMs }: Kill) =>
  `| ${victims.join(", ")} | ${found.length === victims.length ? "all" : found.join(", ") || "none"} | ${delayMs} | ${outcome} | ${afterMs} |`;
const kills = await killAtRandom({ seed, count, tell: (kill) => console.log(row(kill)) });
const restored = kills.filter(({ outcome }) => outcome === "host as before").map(({ afterMs }) => afterMs);
restored.sort((a, b) => a - b);
console.log(`\n- kills: ${kills.length}, each followed by a host as it should be`);
console.log(
  `- host as before without another start: ${restored.length}; after ${restored[restored.length >> 1]} ms (median), ${restored.at(-1)} ms (longest)`,
);
