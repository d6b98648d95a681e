import assert from "node:assert/strict";
import { appendFileSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { announce, appServer, newCsr, role, TestAuth } from "./test-auth.ts";

let auth: TestAuth;
before(async () => {
  auth = await TestAuth.start();
  await auth.createUser("alice", ["access"]);
});
after(() => auth?.close());

test("an editor of the files is found out; the report comes over the API to auditors only", async () => {
  await auth.createUser("aud", ["auditor"]);
  await auth.createUser("ed", ["editor"]);
  const aud = await auth.as("aud");
  const clean = await aud.call("audit.verify", {});
  assert.ok(clean.records > 5);
  assert.deepEqual(clean.problems, []);
  await assert.rejects((await auth.as("ed")).call("audit.verify", {}), /do not allow/);
  const [name] = readdirSync(join(auth.dataDir, "log"));
  const file = join(auth.dataDir, "log", name!);
  const before = readFileSync(file, "utf8");
  writeFileSync(file, before.replace('"alice"', '"malice"'));
  assert.match((await aud.call("audit.verify", {})).problems.join(), /was changed/);
  writeFileSync(file, before);
});

test("a search by user and type", async () => {
  const admin = await auth.admin();
  const { events } = await admin.call("audit.search", { user: "aud", types: ["user.login"], limit: 10 });
  assert.deepEqual(
    events.map((event) => event.user),
    ["aud"],
  );
});

test("a log that was cut while Auth was down is itself an event of the log", async () => {
  await auth.service.close();
  await auth.audit[Symbol.asyncDispose]();
  const [name] = readdirSync(join(auth.dataDir, "log"));
  const file = join(auth.dataDir, "log", name!);
  const lines = readFileSync(file, "utf8").split("\n");
  writeFileSync(file, `${lines.slice(0, 4).join("\n")}\n`);
  await auth.restart();
  assert.equal((await auth.events("audit.damaged")).length, 1);
  const { problems } = await (await auth.admin()).call("audit.verify", {});
  assert.match(problems.join(), /are missing/);
});

test("while the disk takes nothing, what must be audited is refused and changes nothing; the rest goes on", async () => {
  const admin = await auth.admin();
  const agent = await auth.host("App");
  await announce(agent, appServer(agent.hostId, "db"));
  const alice = await auth.as("alice");
  const [name] = readdirSync(join(auth.dataDir, "log"));
  const file = join(auth.dataDir, "log", name!);
  const kept = readFileSync(file);
  await auth.audit[Symbol.asyncDispose](); // opens the file anew
  rmSync(file);
  symlinkSync("/dev/full", file);
  symlinkSync("/dev/full", join(auth.dataDir, "log", "probe"));
  await assert.rejects(admin.call("resource.create", { resource: role("first", {}) }), /audit/);
  for (const resource of [role("second", {}), role("third", {})]) {
    await assert.rejects(admin.call("resource.create", { resource }), /audit/);
    const { resources } = await admin.call("resource.list", { kind: "role" });
    assert.ok(!resources.some(({ metadata }) => metadata.name === resource.metadata.name));
    symlinkSync("/dev/full", join(auth.dataDir, "log", "probe"));
  }
  await assert.rejects(alice.call("app_session.create", { app: "db", csr: await newCsr() }), /audit/);
  await announce(agent, appServer(agent.hostId, "db"));
  await alice.call("resource.list", { kind: "app_server" });
  rmSync(file);
  rmSync(join(auth.dataDir, "log", "probe"), { force: true });
  writeFileSync(file, kept);
  appendFileSync(file, "");
  await alice.call("app_session.create", { app: "db", csr: await newCsr() });
});
