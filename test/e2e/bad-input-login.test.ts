/** What `tsh` and `tctl` say of a wrong password, of a login in the past, and of a proxy that is none. */
import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import test from "node:test";
import { issueUserCert, type KeyedCert, keyPairOf } from "../../src/pki/mod.ts";
import { RpcClient, tcpDial } from "../../src/rpc/mod.ts";
import { freePort } from "../../src/testkit/mod.ts";
import { LoopbackCluster, USER } from "./loopback-cluster.ts";

const HOUR_MS = 3_600_000;

test("bad logins", async (t) => {
  await using cluster = await LoopbackCluster.start();
  await t.test("wrong password, unknown user: the same answer, and nobody is logged in", () => refused(cluster));
  await t.test("what is no password", () => noPassword(cluster));
  await t.test("what is no proxy", () => noProxy(cluster));
  await t.test("a web certificate that nobody vouches for", () => untrusted(cluster));
  await t.test("a certificate in the past is refused here, and by Auth", () => expired(cluster));
});

async function refused(cluster: LoopbackCluster): Promise<void> {
  const answer = { code: 1, stdout: "", stderr: "ERROR: invalid username or password\n" };
  const env = freshHome(cluster);
  assert.deepEqual(await cluster.login({ password: "wrong", env }), answer);
  assert.deepEqual(await cluster.login({ user: "nobody@example.com", env }), answer);
  const status = await cluster.says("tsh", ["status"], { env });
  assert.deepEqual(status, { code: 1, stdout: "Not logged in.\n", stderr: "" });
  const apps = await cluster.says("tsh", ["apps", "ls"], { env });
  assert.deepEqual(apps, {
    code: 1,
    stdout: "",
    stderr:
      'ERROR: not logged in; log in with "tsh login --proxy=PROXY_HOST --user=NAME", ' +
      'for example "tsh login --proxy=teleport.example.com"\n',
  });
}

async function noPassword(cluster: LoopbackCluster): Promise<void> {
  const said = await cluster.says("tsh", ["login", `--proxy=${cluster.proxy}`], { env: freshHome(cluster), input: "" });
  assert.deepEqual(said, {
    code: 2,
    stdout: "",
    stderr: "ERROR: no answer: standard input is not a terminal and holds no line of a sensible length\n",
  });
}

async function noProxy(cluster: LoopbackCluster): Promise<void> {
  const env = freshHome(cluster);
  const nobody = `localhost:${await freePort()}`;
  cluster.alias(nobody, "NOBODY");
  const lines: [proxy: string, stderr: string][] = [
    [nobody, "ERROR: the proxy NOBODY cannot be reached: nobody listens there (ECONNREFUSED)\n"],
    ["https://a", 'ERROR: "https://a" is not a proxy address: expected HOST or HOST:PORT\n'],
  ];
  for (const [proxy, stderr] of lines) {
    assert.deepEqual(await cluster.says("tsh", ["login", `--proxy=${proxy}`], { env }), {
      code: 1,
      stdout: "",
      stderr,
    });
  }
}

async function untrusted(cluster: LoopbackCluster): Promise<void> {
  const said = await cluster.login({ env: { ...freshHome(cluster), SSL_CERT_FILE: "/dev/null" } });
  assert.deepEqual(said, {
    code: 1,
    stdout: "",
    stderr: `ERROR: the web certificate of localhost:PROXY is not trusted: it is self-signed (DEPTH_ZERO_SELF_SIGNED_CERT).
If your organization has a certificate authority of its own, name its certificate with SSL_CERT_FILE or SSL_CERT_DIR.
To go on without checking who answers, which is not safe, use --insecure.
`,
  });
}

/** The user's own key, certified by the cluster's own authority, for an hour that is over. */
async function expired(cluster: LoopbackCluster): Promise<void> {
  const keys = `${cluster.directory}/tsh/keys/localhost`;
  const keyPem = readFileSync(`${keys}/${USER}.key`, "utf8");
  const certPem = await issueUserCert({
    ca: authorityOf(cluster, "user"),
    cluster: "teleport.example.com",
    publicKeyPem: keyPairOf(keyPem).publicKeyPem,
    user: USER,
    roles: ["access", "editor"],
    traits: {},
    now: Date.now() - 2 * HOUR_MS,
    expires: Date.now() - HOUR_MS,
  });
  writeFileSync(`${keys}/${USER}.crt`, certPem);
  const stderr = `ERROR: your login to localhost has expired; log in again with "tsh login --proxy=localhost:PROXY --user=${USER}"\n`;
  for (const args of [
    ["apps", "ls"],
    ["proxy", "app", "echo"],
    ["vnet", "exec", "--", "true"],
  ]) {
    assert.deepEqual(await cluster.says("tsh", args), { code: 1, stdout: "", stderr }, args.join(" "));
  }
  const env = { TELEPORT_CONFIG_FILE: "" };
  assert.deepEqual(await cluster.says("tctl", ["get", "vnet_config"], { env }), { code: 1, stdout: "", stderr });
  const status = await cluster.says("tsh", ["status"]);
  assert.equal(status.code, 1);
  assert.match(status.stdout, /\[EXPIRED\]/);
  await assert.rejects(callAs(cluster, { certPem, keyPem }), { code: "api.unauthenticated" });
}

/** What a client would get that does not look at its own certificate's dates. */
async function callAs(cluster: LoopbackCluster, identity: KeyedCert): Promise<void> {
  await using rpc = new RpcClient({
    dial: tcpDial(`127.0.0.1:${cluster.proxyPort}`),
    trust: { cluster: "teleport.example.com", hostCas: [authorityOf(cluster, "host").certPem] },
    identity,
    servername: "localhost",
  });
  await rpc.call("resource.list", { kind: "app_server" });
}

/** An authority with its key, as only Auth's own storage holds it. */
function authorityOf(cluster: LoopbackCluster, type: "user" | "host"): KeyedCert {
  // Auth has locked its own.
  const copy = cluster.file("copy");
  cpSync(cluster.file("data/backend"), copy, { recursive: true });
  using database = new DatabaseSync(`${copy}/sqlite.db`);
  const row = database.prepare("SELECT value FROM items WHERE key = ?").get(`/ca/${type}`);
  const { active } = JSON.parse(Buffer.from(row?.value as Uint8Array).toString()) as {
    active: { cert: string; key: string };
  };
  return { certPem: active.cert, keyPem: active.key };
}

/** Where nobody has logged in. */
function freshHome(cluster: LoopbackCluster): Record<string, string> {
  return { TELEPORT_HOME: `${cluster.directory}/other` };
}
