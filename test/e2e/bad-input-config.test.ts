/** What `teleport start` says of a bad teleport.yaml: where it is wrong, and the nearest word that is right. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { run } from "../../src/testkit/mod.ts";
import { appService, teleportYaml } from "./loopback-parts.ts";

const TELEPORT = join(import.meta.dirname, "../../bin/teleport");
const GOOD =
  teleportYaml({
    clusterName: "teleport.example.com",
    directory: "/nonexistent",
    authPort: 3025,
    proxyPort: 3080,
    proxy: "localhost:3080",
  }) + appService([{ name: "echo", uri: "tcp://localhost:5432" }]);

/** What is replaced in a good teleport.yaml, and what `teleport start` says of the result. */
const CONFIGS: [what: string, replace: string | RegExp, by: string, stderr: string][] = [
  [
    "unknown key",
    "cluster_name:",
    "clustr_name:",
    'ERROR: bad.yaml:7:3: auth_service: unknown key "clustr_name"; did you mean "cluster_name"?\n',
  ],
  [
    "unknown key of an app",
    "    public_addr: echo",
    "    pubic_addr: echo",
    'ERROR: bad.yaml:23:5: app_service.apps[0]: unknown key "pubic_addr"; did you mean "public_addr"?\n',
  ],
  [
    "bad YAML: a list without end",
    "second_factors: []",
    "second_factors: [",
    'ERROR: bad.yaml:12:1: a list that begins with "[" does not end with "]"\n',
  ],
  [
    "bad YAML: a section with a value",
    "proxy_service:",
    "proxy_service: yes",
    'ERROR: bad.yaml:12:16: a "key: value" inside a value: is the next line indented too far, or are quotes missing?\n',
  ],
  ["bad YAML: a tab", "    uri:", "\turi:", "ERROR: bad.yaml:22:1: Tabs are not allowed as indentation\n"],
  [
    "bad version",
    "version: v3",
    "version: v9",
    'ERROR: bad.yaml:1:10: version: only version "v3" of teleport.yaml is supported\n',
  ],
  [
    "a service that is not there",
    /(ssh_service:\n {2}enabled: )no/,
    "$1yes",
    'ERROR: bad.yaml:17:12: ssh_service.enabled: ssh_service is not supported; write "enabled: no"\n',
  ],
  [
    "an app without port",
    /uri: .*/,
    "uri: tcp://localhost",
    "ERROR: bad.yaml:22:10: app_service.apps[0].uri: a tcp:// URI needs a port, as in tcp://localhost:5432\n",
  ],
];

for (const [what, replace, by, stderr] of CONFIGS) {
  test(`teleport.yaml: ${what}`, async (t) => {
    const cwd = scratch(t);
    const bad = GOOD.replace(replace, by);
    assert.notEqual(bad, GOOD);
    writeFileSync(join(cwd, "bad.yaml"), bad);
    assert.deepEqual(await start(cwd, "bad.yaml"), { code: 1, stdout: "", stderr });
  });
}

test("a teleport.yaml that is not there, or is none", async (t) => {
  const cwd = scratch(t);
  const cannotRead = "ERROR: cannot read the configuration file";
  const missing = `${cannotRead} none.yaml: there is no such file\n`;
  assert.deepEqual(await start(cwd, "none.yaml"), { code: 1, stdout: "", stderr: missing });
  assert.deepEqual(await start(cwd, "."), { code: 1, stdout: "", stderr: `${cannotRead} .: it is a directory\n` });
});

test("a command line that cannot be meant", async (t) => {
  const cwd = scratch(t);
  const { code, stderr } = await say(cwd, ["strat"]);
  assert.equal(code, 2);
  assert.equal(
    stderr,
    "error: unknown command 'strat'\n(Did you mean start?)\n(run \"teleport --help\" for what there is)\n",
  );
});

function start(cwd: string, file: string) {
  return say(cwd, ["start", "-c", file]);
}

async function say(cwd: string, args: string[]) {
  const env = { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: cwd };
  const { code, stdout, stderr } = await run([TELEPORT, ...args], { cwd, env });
  return { code, stdout, stderr };
}

function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "vnet-bad-config-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
