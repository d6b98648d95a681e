import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { identityFileText, readIdentityFile } from "../../client/mod.ts";
import { startTestCluster, type TestCluster } from "../../testkit/mod.ts";

const CMD = join(import.meta.dirname, "..");

let cluster: TestCluster;
let dir: string;
before(async () => {
  dir = mkdtempSync(join(tmpdir(), "tctl-"));
  cluster = await startTestCluster();
  await cluster.createUser("ci", "correct horse battery staple");
  const admin = JSON.parse(readFileSync(join(cluster.dataDir, "proc", "admin.json"), "utf8"));
  const text = identityFileText({ keyPem: admin.key, certPem: admin.cert, hostCas: admin.host_cas });
  writeFileSync(join(dir, "admin"), text, { mode: 0o600 });
});
after(async () => {
  await cluster?.[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

function environment() {
  return { ...process.env, TELEPORT_HOME: join(dir, "home"), TELEPORT_CONFIG_FILE: "" };
}

function command(program: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    const options = { env: environment(), timeout: 20_000 };
    const child: ChildProcess = execFile(
      process.execPath,
      [join(CMD, `${program}.ts`), ...args],
      options,
      (_, out, err) => resolve({ code: child.exitCode ?? -1, out, err }),
    );
  });
}

const tctl = (...args: string[]) =>
  command("tctl", "-i", join(dir, "admin"), `--auth-server=${cluster.proxyAddress}`, ...args);

test("words that mean nothing here are refused with those that do", async () => {
  for (const [args, code, said] of [
    [["tokens", "add", "--type=foo"], 2, 'ERROR: --type: unknown role "foo" (app, proxy or trusted_cluster)\n'],
    [["tokens", "add", "--type=app", "--value=a b"], 1, "ERROR: --value: must be printable ASCII without spaces\n"],
    [
      ["audit", "search", "--type=user.logn"],
      2,
      'ERROR: --type: unknown event type "user.logn"; did you mean "user.login"? (docs/audit-events.md)\n',
    ],
    [
      ["lock", "--user=ci", "--expires=soon"],
      1,
      "ERROR: spec.expires: expected an RFC 3339 time such as 2026-01-31T12:00:00Z\n",
    ],
    [
      ["users", "add"],
      2,
      "error: missing required argument 'name'\n(run \"tctl users add --help\" for what there is)\n",
    ],
  ] as const) {
    assert.deepEqual(await tctl(...args), { code, out: "", err: said });
  }
  const early = await tctl("lock", "--user=cii", "--ttl=1m");
  assert.equal(early.err, 'NOTE: there is no user "cii" now: the lock waits for one of that name.\n');
  assert.match(early.out, /^Created a lock/);
});

test("tctl users update sets roles and logins, and leaves the rest", async () => {
  assert.deepEqual(await tctl("users", "update", "ci"), {
    code: 2,
    out: "",
    err: "ERROR: nothing to update: say --set-roles or --set-logins\n",
  });
  assert.match((await tctl("users", "update", "ci", "--set-roles=nosuch")).err, /role "nosuch" does not exist/);
  const updated = await tctl("users", "update", "ci", "--set-roles=access,auditor", "--set-logins=root");
  assert.deepEqual(updated, {
    code: 0,
    out: "User ci has been updated:\n\tNew roles: access,auditor\n\tNew logins: root\n",
    err: "",
  });
  await tctl("users", "update", "ci", "--set-roles=access");
  const { spec } = JSON.parse((await tctl("get", "user/ci", "--format=json")).out)[0];
  assert.deepEqual([spec.roles, spec.traits], [["access"], { logins: ["root"] }]);
});

test("tctl auth sign writes a private identity file, and tsh -i lists and reaches apps by it", async () => {
  const file = join(dir, "ci");
  const signed = await tctl("auth", "sign", "--user=ci", "-o", file, "--ttl=1h");
  assert.deepEqual([signed.code, signed.out], [0, `The credentials of user "ci" have been written to ${file}\n`]);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal((await readIdentityFile(file)).hostCas.length, 1);
  const again = await tctl("auth", "sign", "--user=ci", "-o", file);
  assert.equal(again.code, 2);
  assert.match(again.err, /exists: say --overwrite/);
  const nowhere = await tctl("auth", "sign", "--user=ci", "-o", join(dir, "none", "ci"));
  assert.equal(nowhere.err, `ERROR: cannot write ${join(dir, "none", "ci")}: its directory does not exist\n`);

  const listed = await command("tsh", "-i", file, `--proxy=${cluster.proxyAddress}`, "apps", "ls");
  assert.equal(listed.code, 0, listed.err);
  assert.match(listed.out, /^echo .*TCP/m);

  const args = ["-i", file, `--proxy=${cluster.proxyAddress}`, "proxy", "app", "echo"];
  const proxy = spawn(process.execPath, [join(CMD, "tsh.ts"), ...args], { env: environment(), stdio: "pipe" });
  try {
    const [said] = (await once(proxy.stdout, "data")) as [Buffer];
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(said.toString())?.[1]);
    const socket = connect(port, "127.0.0.1");
    socket.write("hello");
    const [back] = (await once(socket, "data")) as [Buffer];
    assert.equal(back.toString(), "hello");
    socket.destroy();
  } finally {
    proxy.kill("SIGTERM");
    await once(proxy, "exit");
  }
});

test("--format=tls writes three files; what cannot be is said", async () => {
  const signed = await tctl("auth", "sign", "--user=ci", "-o", join(dir, "tls"), "--format=tls");
  assert.equal(signed.code, 0, signed.err);
  assert.match(readFileSync(join(dir, "tls.key"), "utf8"), /PRIVATE KEY/);
  assert.match(readFileSync(join(dir, "tls.crt"), "utf8"), /BEGIN CERTIFICATE/);
  assert.match(readFileSync(join(dir, "tls.cas"), "utf8"), /BEGIN CERTIFICATE/);
  const nowhere = await command("tsh", "-i", join(dir, "tls.crt"), "apps", "ls");
  assert.equal(nowhere.code, 2);
  assert.match(nowhere.err, /--identity needs --proxy/);
  const none = await command("tsh", "-i", join(dir, "tls.crt"), `--proxy=${cluster.proxyAddress}`, "apps", "ls");
  assert.match(none.err, /is not an identity file/);
  const admin = await command("tsh", "-i", join(dir, "admin"), `--proxy=${cluster.proxyAddress}`, "apps", "ls");
  assert.match(admin.err, /is not a user's identity/);
});
