/** An agent that has stopped answering while its connections stand, as after a power cut. */
import assert from "node:assert/strict";
import test from "node:test";
import { needs } from "../../src/testkit/mod.ts";
import { connectionsTo, endOf, newsOf } from "./connections.ts";
import { EXEC_NEEDS, LoopbackCluster } from "./loopback-cluster.ts";

/**
 * A silent agent may come back, as one behind a broken path does: its streams wait for `link.DEAD_AFTER_MS`
 * (7.5 s), and then for `link.AGENT_GONE_MS` (10 s) in which no proxy knows it. The rest is for a loaded machine.
 */
const RESET_MS = 20_000;
const REFUSED_MS = 5_000;
/** While the agent is still believed alive an attempt ends by its own bound, 4.8 s; the rest is for a loaded machine. */
const UNANSWERED_MS = 5_500;

test("an agent falls silent", needs(...EXEC_NEEDS), async (t) => {
  await using cluster = await LoopbackCluster.start({ apart: true });
  await using client = cluster.spawn("tsh", ["vnet", "exec", "--", ...connectionsTo("echo.company.test", 7)]);
  client.write("\n");
  assert.equal((await newsOf(client, 1)).event, "echo");

  const since = Date.now();
  cluster.agent!.signal("SIGSTOP");
  try {
    client.write("\n");
    const unanswered = await newsOf(client, 2);
    t.diagnostic(`new connection ${unanswered.event} after ${unanswered.after} ms`);
    assert.equal(unanswered.event, "ECONNREFUSED");
    assert.ok(unanswered.after <= UNANSWERED_MS);

    const open = await endOf(client, 1);
    t.diagnostic(`open connection ${open.event} after ${open.at - since} ms`);
    assert.equal(open.event, "ECONNRESET");
    assert.ok(open.at - since <= RESET_MS);

    client.write("\n");
    const known = await newsOf(client, 3);
    t.diagnostic(`new connection, silence known: ${known.event} after ${known.after} ms`);
    assert.equal(known.event, "ECONNREFUSED");
    assert.ok(known.after <= REFUSED_MS);
  } finally {
    cluster.agent!.signal("SIGCONT");
  }
});
