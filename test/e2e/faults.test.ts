/**
 * Faults under live connections, each octet of which is checked: a short form of
 * `npm run proof -- faults`, with fewer streams and shorter faults.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { needs } from "../../src/testkit/mod.ts";
import { FAULT_NEEDS, FaultCluster } from "./fault-cluster.ts";
import { inflict } from "./fault-run.ts";
import { FAULTS } from "./faults.ts";

const STREAMS = 20;

test("faults under live streams", needs(...FAULT_NEEDS), async (t) => {
  await using cluster = await FaultCluster.start();
  for (const fault of FAULTS) {
    await t.test(fault.name, async (t) => {
      const result = await inflict(cluster, fault, { streams: STREAMS, seconds: fault.seconds[0], pgbench: false });
      t.diagnostic(JSON.stringify(result));
      assert.deepEqual(result.problems, []);
    });
  }
});
