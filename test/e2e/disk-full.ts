/**
 * Run by `disk-full.test.ts` inside a mount namespace: a whole cluster whose
 * audit log is on a small disk of its own, the directory given as argument.
 * Ends with 0 when everything was as it must be.
 */
import assert from "node:assert/strict";
import { appendFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { sleep } from "../../src/base/mod.ts";
import { startTestCluster, Witness } from "../../src/testkit/mod.ts";

const PASSWORD = "correct horse battery staple";
const auditDir = process.argv[2]!;
const filler = join(auditDir, "filler");

/** Until not one octet more goes in. */
function fillDisk(): void {
  for (let size = 1024 * 1024; size >= 1; size = Math.floor(size / 2)) {
    try {
      for (;;) appendFileSync(filler, new Uint8Array(size));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
    }
  }
}

await using cluster = await startTestCluster({ auditDir });
await cluster.createUser("alice", PASSWORD);
const alice = await cluster.login("alice", PASSWORD);
await using admin = await cluster.adminClient();
const { session } = await cluster.appSession(alice, "echo");
const { link } = await cluster.dialLink(session);
const witness = new Witness(await link.open(0));
await witness.exchange();

fillDisk();
const resource = { kind: "role", version: "v7", metadata: { name: "late" }, spec: {} } as const;
const full = /disk/;
await assert.rejects(admin.call("resource.create", { resource }), full, "a change");
await assert.rejects(cluster.login("alice", PASSWORD), full, "a login");
await assert.rejects(cluster.appSession(alice, "echo"), full, "an app session");
const { resources } = await admin.call("resource.list", { kind: "role" });
assert.ok(!resources.some(({ metadata }) => metadata.name === "late"), "what was refused was not done");
await witness.exchange();
await new Witness(await link.open(0)).finish(); // Its records wait in the agent's spool.

rmSync(filler);
await admin.call("resource.create", { resource });
await witness.finish();
await alice.client.call("app_session.end", {});
for (;;) {
  const { events } = await admin.call("audit.search", { types: ["app.session.end"] });
  if (events.length === 2) break;
  await sleep(20);
}
const { problems } = await admin.call("audit.verify", {});
assert.deepEqual(problems, []);
link.close("done");
await alice.client.close();
