import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type HostRecord, hostUuid, loadIdentity, loadOrJoin, storeIdentity } from "./identity-store.ts";

async function tempDir(t: import("node:test").TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "identity-"));
  t.after(() => rm(dir, { recursive: true }));
  return join(dir, "data");
}

test("an identity is kept for its owner only and found again without joining", async (t) => {
  const dataDir = await tempDir(t);
  const hostId = await hostUuid(dataDir);
  assert.equal(await hostUuid(dataDir), hostId);
  const record: HostRecord = { hostId, cluster: "c", certPem: "C", keyPem: "K", hostCas: ["H"], userCas: ["U"] };

  assert.equal(await loadIdentity(dataDir, "App"), undefined);
  await storeIdentity(dataDir, "App", record);
  assert.deepEqual(await loadIdentity(dataDir, "App"), record);
  assert.equal(await loadIdentity(dataDir, "Proxy"), undefined);
  assert.equal((await stat(join(dataDir, "proc/app.json"))).mode & 0o777, 0o600);
  assert.equal((await stat(join(dataDir, "proc"))).mode & 0o777, 0o700);

  const dial = () => Promise.reject(new Error("must not be dialled"));
  const join_ = { dial, token: "used up", nodeName: "n" };
  assert.deepEqual(await loadOrJoin({ dataDir, role: "App", join: join_ }), record);
  await assert.rejects(loadOrJoin({ dataDir, role: "Proxy", join: join_ }), { code: "rpc.connection-lost" });
});

test("a damaged identity, or one of a later version, is refused by name", async (t) => {
  const dataDir = await tempDir(t);
  const hostId = await hostUuid(dataDir);
  await storeIdentity(dataDir, "App", { hostId, cluster: "c", certPem: "C", keyPem: "K", hostCas: ["H"], userCas: [] });
  const file = join(dataDir, "proc/app.json");
  const good = await readFile(file, "utf8");
  for (const bad of ["", good.slice(0, 40), good.replace('"version": 1', '"version": 2')]) {
    await writeFile(file, bad);
    await assert.rejects(loadIdentity(dataDir, "App"), { code: "rpc.identity-file", file });
  }
  await writeFile(join(dataDir, "host_uuid"), "what\n");
  await assert.rejects(hostUuid(dataDir), { code: "rpc.identity-file" });
});
