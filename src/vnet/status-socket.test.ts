import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { readStatuses, serveStatus, statusDirs } from "./status-socket.ts";

function tempDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "status-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test("the user's runtime directory goes first, TELEPORT_HOME last", () => {
  assert.deepEqual(statusDirs({ runtimeDir: "/run/user/5", uid: 5, home: "/h" }), ["/run/user/5/tsh-vnet", "/h/vnet"]);
  assert.deepEqual(statusDirs({ uid: 5, home: "/h" }), ["/run/user/5/tsh-vnet", "/h/vnet"]);
});

test("the status is as it is when it is asked for; only the user can ask; nothing stays", async (t) => {
  const dirs = [join(tempDir(t), "gone", "tsh-vnet"), join(tempDir(t), "vnet")];
  let asked = 0;
  const server = await serveStatus(dirs, () => ({ asked: ++asked, long: "x".repeat(300_000) }));
  assert.equal(statSync(dirs[1]!).mode & 0o777, 0o700);
  assert.equal(statSync(join(dirs[1]!, `${process.pid}.sock`)).mode & 0o777, 0o600);
  for (const expected of [1, 2]) {
    const [status] = (await readStatuses(dirs)) as [{ asked: number; long: string }];
    assert.deepEqual([status.asked, status.long.length], [expected, 300_000]);
  }
  await server[Symbol.asyncDispose]();
  assert.deepEqual([await readStatuses(dirs), existsSync(dirs[1]!)], [[], false]);
});

test("a directory that others can write, or a link to one, is neither used nor believed", async (t) => {
  const home = tempDir(t);
  const [open, linked, good] = ["open", "linked", "good"].map((name) => join(home, name)) as [string, string, string];
  mkdirSync(open);
  chmodSync(open, 0o777);
  mkdirSync(good, { mode: 0o700 });
  symlinkSync(good, linked);
  await assert.rejects(
    serveStatus([open, linked], () => ({})),
    /no directory for a status socket/,
  );
  assert.deepEqual(readdirSync(open), []);
  const impostor = createServer((socket) => socket.end("{}")).listen(join(open, "1.sock"));
  t.after(() => impostor.close());
  assert.deepEqual(await readStatuses([open]), []);
});

test("what a killed VNet left is removed; one that answers nonsense is passed over", async (t) => {
  const dir = tempDir(t);
  const left = join(dir, "4711.sock");
  const script = `require("net").createServer().listen(${JSON.stringify(left)}, () => process.kill(process.pid, "SIGKILL"))`;
  spawnSync(process.execPath, ["-e", script]);
  assert.ok(existsSync(left));
  const nonsense = createServer((socket) => socket.end("nonsense")).listen(join(dir, "4712.sock"));
  t.after(() => nonsense.close());
  await using _ = await serveStatus([dir], () => ({ ok: true }));
  assert.deepEqual(await readStatuses([dir]), [{ ok: true }]);
  assert.ok(!existsSync(left));
});
