import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { AUDIT_CODES, type AuditEvent, auditEventSchema, check } from "../api/mod.ts";
import { type VirtualClock, virtualClock } from "../testkit/mod.ts";
import { auditEvent, openAuditLog } from "./mod.ts";
import { verifyLog } from "./verify.ts";

function dirFor(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "audit-"));
  t.after(() => rmSync(dir, { recursive: true }));
  return join(dir, "log");
}

function login(clock: VirtualClock, user: string, success = true): AuditEvent {
  return auditEvent("user.login", { cluster_name: "c", user, method: "local", success }, clock);
}

test("an event has its code, time and unique id; failures have their own code", () => {
  const clock = virtualClock();
  const ok = login(clock, "alice");
  const failed = login(clock, "alice", false);
  assert.deepEqual([ok.code, failed.code, ok.ei, ok.time], ["T1000I", "T1000W", 0, "2026-01-01T00:00:01.000Z"]);
  assert.notEqual(ok.uid, failed.uid);
  const refused = auditEvent("vnet.config.create", { cluster_name: "c", success: false }, clock);
  assert.equal(refused.code, "TVNET001I"); // as in Teleport: the same code, success=false
});

test("every event type has a schema", () => {
  const clock = virtualClock();
  for (const event of Object.keys(AUDIT_CODES)) {
    const stamp = { ei: 0, uid: crypto.randomUUID(), code: "X", time: new Date(clock.wallMs()).toISOString() };
    const checked = check(auditEventSchema, { event, ...stamp, cluster_name: "c" });
    const unknown = "issues" in checked && checked.issues.some((issue) => issue.path[0] === "event");
    assert.equal(unknown, false, event);
  }
});

test("one file a day, one JSON event a line, private", async (t) => {
  const dir = dirFor(t);
  const clock = virtualClock();
  await using log = await openAuditLog({ dir, clock });
  await log.append(login(clock, "alice"));
  clock.advance(86_400_000);
  await log.append(login(clock, "bob"));
  assert.deepEqual(readdirSync(dir).sort(), ["2026-01-01.log", "2026-01-02.log"]);
  assert.equal(statSync(dir).mode & 0o777, 0o700);
  assert.equal(statSync(join(dir, "2026-01-02.log")).mode & 0o777, 0o600);
  const lines = readFileSync(join(dir, "2026-01-02.log"), "utf8").trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).user),
    ["bob"],
  );
});

test("an event is on the disk when append resolves, in order", async (t) => {
  const dir = dirFor(t);
  const clock = virtualClock();
  await using log = await openAuditLog({ dir, clock });
  await Promise.all(Array.from({ length: 500 }, (_, i) => log.append(login(clock, `u${i}`))));
  const lines = readFileSync(join(dir, "2026-01-01.log"), "utf8").trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).user),
    Array.from({ length: 500 }, (_, i) => `u${i}`),
  );
});

test("an append resolves only after its octets were synced, and what waits shares one sync", async (t) => {
  const dir = dirFor(t);
  const clock = virtualClock();
  const order: string[] = [];
  /** Says when the disk was really asked to keep what was written. */
  const watched = (handle: FileHandle) =>
    new Proxy(handle, {
      get(target, property) {
        const value = Reflect.get(target, property, target) as unknown;
        if (property !== "appendFile" && property !== "datasync")
          return typeof value === "function" ? value.bind(target) : value;
        return async (...args: unknown[]) => {
          const result = await (value as (...all: unknown[]) => Promise<unknown>).apply(target, args);
          order.push(property);
          return result;
        };
      },
    });
  await using log = await openAuditLog({ dir, clock, openFile: async (path) => watched(await open(path, "a+")) });
  const append = (user: string) => log.append(login(clock, user)).then(() => order.push("acknowledged"));
  await append("alice");
  assert.deepEqual(order.splice(0), ["appendFile", "datasync", "acknowledged"]);
  await Promise.all([append("bob"), append("carol"), append("dora")]);
  assert.deepEqual(order, ["appendFile", "datasync", "acknowledged", "acknowledged", "acknowledged"]);
});

test("a repeated delivery is written once, and found once where it was not", async (t) => {
  const dir = dirFor(t);
  const clock = virtualClock();
  const event = login(clock, "alice");
  const lines = () => readFileSync(join(dir, "2026-01-01.log"), "utf8").split("\n").length - 1;
  const first = await openAuditLog({ dir, clock });
  await Promise.all([first.append(event), first.append(event)]);
  await first.append({ ...event });
  assert.equal(lines(), 1);
  await first[Symbol.asyncDispose]();
  await using second = await openAuditLog({ dir, clock }); // which remembers nothing
  await second.append(event);
  assert.deepEqual([lines(), (await second.search()).length], [2, 1]);
});

test("search by time and type, in order of time, over days", async (t) => {
  const clock = virtualClock();
  await using log = await openAuditLog({ dir: dirFor(t), clock });
  const start = clock.wallMs();
  const late = login(clock, "late"); // waits in a spool
  await log.append(login(clock, "a"));
  clock.advance(86_400_000);
  await log.append(auditEvent("role.created", { cluster_name: "c", name: "r" }, clock));
  await log.append(late);
  const names = async (query: Parameters<typeof log.search>[0]) =>
    (await log.search(query)).map((event) => event.user ?? event.event).sort();
  assert.deepEqual(await names({}), ["a", "late", "role.created"]);
  assert.deepEqual(await names({ fromMs: start, toMs: start }), ["a", "late"]);
  assert.deepEqual(await names({ fromMs: start + 1 }), ["role.created"]);
  assert.deepEqual(await names({ types: ["user.login"] }), ["a", "late"]);
  assert.equal((await log.search({ limit: 1 })).length, 1);
  assert.equal((await log.search()).at(-1)?.event, "role.created");
});

test("half a line of a crash harms neither what follows nor a search", async (t) => {
  const dir = dirFor(t);
  const clock = virtualClock();
  const first = await openAuditLog({ dir, clock });
  await first.append(login(clock, "a"));
  await first[Symbol.asyncDispose]();
  appendFileSync(join(dir, "2026-01-01.log"), '{"event":"user.lo');
  await using second = await openAuditLog({ dir, clock });
  await second.append(login(clock, "b"));
  assert.deepEqual(
    (await second.search()).map((event) => event.user),
    ["a", "b"],
  );
});

test("a full disk rejects the append; with room, the next one succeeds", async (t) => {
  const dir = dirFor(t);
  const clock = virtualClock();
  await using log = await openAuditLog({ dir, clock });
  const file = join(dir, "2026-01-01.log");
  symlinkSync("/dev/full", file); // accepts no octet
  const event = login(clock, "a");
  await assert.rejects(log.append(event), { code: "audit.failed", retryable: true, message: /ENOSPC/ });
  rmSync(file);
  await log.append(event);
  assert.equal((await log.search()).length, 1);
});

test("what was acknowledged survives kill -9", async (t) => {
  const dir = dirFor(t);
  const code = `
    import { auditEvent, openAuditLog } from ${JSON.stringify(join(import.meta.dirname, "mod.ts"))};
    const clock = { now: () => performance.now(), wallMs: () => Date.now(), after: () => ({ cancel() {} }) };
    const log = await openAuditLog({ dir: ${JSON.stringify(dir)}, clock });
    const one = async () => {
      for (;;) {
        const event = auditEvent("role.created", { cluster_name: "c", name: "r" }, clock);
        await log.append(event);
        process.stdout.write(event.uid + "\\n");
      }
    };
    for (let i = 0; i < 8; i++) void one();
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface(child.stdout);
  const acknowledged: string[] = [];
  lines.on("line", (line) => {
    acknowledged.push(line);
    if (acknowledged.length === 200) child.kill("SIGKILL");
  });
  await Promise.all([once(child, "close"), once(lines, "close")]);
  await using log = await openAuditLog({ dir, clock: virtualClock() });
  const stored = new Set((await log.search()).map((event) => event.uid));
  assert.deepEqual(
    acknowledged.filter((uid) => !stored.has(uid)),
    [],
  );
  const { problems } = await verifyLog({ dir, notary: { verify: () => true }, heads: [] });
  assert.deepEqual(problems, [], "and is one chain");
});
