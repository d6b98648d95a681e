/** The kernel's TCP behind a bad network, in a network namespace of its own; `npm run proof -- impairment` is the long form. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { needs } from "../../src/testkit/mod.ts";
import { COMBINATIONS, describe } from "./combinations.ts";
import type { ImpairedResult } from "./impaired-run.ts";
import { chances } from "./impairment.ts";

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const RUN = fileURLToPath(new URL("./impaired-run.ts", import.meta.url));
const MIB = 1024 * 1024;
/** One of each bad network; chance says which IP version and offload. */
const CHOSEN = [0, 4, 8, 12, 16, 20].map((first, i) => first + Math.floor(chances(SEED + i)() * 4));

test("transfers through bad networks arrive whole", needs("tun", "userns", "ip"), (t) => {
  t.diagnostic(`SEED=${SEED}: ${CHOSEN.map((number) => describe(COMBINATIONS[number]!)).join("; ")}`);
  const octets = [2 * MIB, MIB / 4].map(String);
  const args = ["-rn", process.execPath, "--disable-warning=ExperimentalWarning", RUN, String(SEED), ...octets];
  const run = spawnSync("unshare", [...args, ...CHOSEN.map(String)], { encoding: "utf8", timeout: 90_000 });
  assert.equal(run.status, 0, `${run.signal ?? ""}\n${run.stdout}\n${run.stderr}`);
  const results = run.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as ImpairedResult);
  assert.equal(results.length, CHOSEN.length);
  for (const { name, seconds, faults, pauses, unexplained, totals } of results) {
    t.diagnostic(
      `${name}: ${seconds.toFixed(1)} s, ${JSON.stringify(totals)}${[...pauses, ...unexplained].map((p) => `\n  ${p}`).join("")}`,
    );
    // Whether each pause has its reason in the log is the long form's question: a busy machine makes its own.
    assert.deepEqual(faults, [], `${name}, SEED=${SEED}`);
  }
});
