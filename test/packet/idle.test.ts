import assert from "node:assert/strict";
import { test } from "node:test";
import { idleRun } from "./idle-run.ts";

const CONNECTIONS = 5_000;
const SECONDS = 3;
const EACH_MAX = 2_048;
/** Of so short a time one collection is more than the 2 % that the long form allows. */
const CPU_PERCENT_MAX = 5;

test(`${CONNECTIONS} idle connections are cheap, quiet and usable (npm run proof -- idle: 50,000)`, async (t) => {
  const result = await idleRun(CONNECTIONS, SECONDS);
  t.diagnostic(JSON.stringify(result));
  assert.ok(result.eachOctets < EACH_MAX, `${result.eachOctets} octets each`);
  assert.ok(result.cpuPercent < CPU_PERCENT_MAX, `${result.cpuPercent} % CPU`);
  assert.equal(result.usable, CONNECTIONS);
  assert.equal(result.framesWhileIdle, 0);
});
