/** A second factor for each app session, asked for at the terminal that `tsh vnet` was started from. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { Secret, TOTP } from "otpauth";
import { BackgroundProcess, needs } from "../../src/testkit/mod.ts";
import { EXEC_NEEDS, LoopbackCluster, PASSWORD } from "./loopback-cluster.ts";
import { get, post } from "./loopback-parts.ts";

const TSH = join(import.meta.dirname, "../../bin/tsh");
const BEA = "bea@example.com";
const WAIT_MS = 20_000;
/** Two connections at once, one after them; each says what came back. */
const THREE = `for i in 1 2; do (echo hello$i | nc -N -w 20 echo.company.test 80) & done; wait; echo hello3 | nc -N -w 20 echo.company.test 80`;

test("a second factor for each app session", needs(...EXEC_NEEDS, "script", "nc"), async (t) => {
  await using cluster = await LoopbackCluster.start();
  cluster.file(
    "cap.yaml",
    "kind: cluster_auth_preference\nversion: v2\nmetadata: {name: cluster-auth-preference}\n" +
      "spec: {type: local, second_factors: [otp], require_session_mfa: true}\n",
  );
  await cluster.ok("tctl", ["create", "-f", "cap.yaml"]);
  const secret = await createUser(cluster);
  // A code serves once. The clock may be off by one step: so three of them are good now.
  const [, loginCode, sessionCode] = [-1, 0, 1].map((step) => codeAt(secret, step));
  const login = ["login", `--proxy=${cluster.proxy}`, `--user=${BEA}`];
  await cluster.ok("tsh", login, { input: `${PASSWORD}\n${loginCode}\n` });

  await t.test("without a terminal: refused, with what to do", async () => {
    const command = ["setsid", "--wait", TSH, "vnet", "exec", "--", "nc", "-w", "5", "echo.company.test", "80"];
    await using vnet = new BackgroundProcess("vnet", command, {
      cwd: cluster.directory,
      env: cluster.env(),
      input: "",
    });
    await vnet.exited;
    assert.match(vnet.output, /The app "echo" asks for a second factor for this session\./);
    assert.match(vnet.output, /a second factor is asked for \(a one-time password\).*run the command in a terminal/);
  });

  await t.test("at a terminal: asked once, for two connections at once and a third later", async () => {
    const command = ["script", "-qec", `${TSH} vnet exec -- sh -c '${THREE}'`, "/dev/null"];
    await using terminal = new BackgroundProcess("terminal", command, { cwd: cluster.directory, env: cluster.env() });
    await terminal.waitFor(/Enter your OTP token: /, WAIT_MS);
    terminal.write(`${sessionCode}\n`);
    await terminal.waitFor(/hello3/, WAIT_MS);
    assert.equal((await terminal.exited).code, 0, terminal.output);
    assert.equal(terminal.output.split("Enter your OTP token").length, 2, "one question");
    assert.match(terminal.output, /hello1/);
    assert.match(terminal.output, /hello2/);
  });

  await t.test("the audit log says by which device", async () => {
    const devices = JSON.parse(await cluster.ok("tsh", ["mfa", "ls", "--format=json"])) as { id: string }[];
    const args = ["audit", "search", "--type=app.session.start", "--format=json"];
    const events = JSON.parse(await cluster.ok("tctl", args)) as { with_mfa?: string; success: boolean }[];
    const withMfa = events.filter((event) => event.with_mfa === devices[0]!.id && event.success);
    assert.equal(withMfa.length, 4, "one from Auth, three from the agent");
  });
});

async function createUser(cluster: LoopbackCluster): Promise<string> {
  const said = await cluster.ok("tctl", ["users", "add", "--roles=access", BEA]);
  const url = /https:\S+\/web\/invite\/\S+/.exec(said)?.[0] ?? "";
  const ca = readFileSync(cluster.env().SSL_CERT_FILE!);
  const page = await get(url, ca);
  const secret = /<pre id="secret">([A-Z2-7]{32})<\/pre>/.exec(page)?.[1] ?? "";
  const form = new URLSearchParams({ password: PASSWORD, confirm: PASSWORD, otp: codeAt(secret, -1) });
  assert.equal(await post(url, form.toString(), ca), 200);
  return secret;
}

function codeAt(secret: string, step: number): string {
  return new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: Date.now() + step * 30_000 });
}
