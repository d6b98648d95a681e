import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const dir = mkdtempSync(join(tmpdir(), "vnet-sudo-"));
after(() => rmSync(dir, { recursive: true }));

/** Stands for sudo: prints its pid, its arguments one per line, what it was told to keep, and ends with 7. */
const FAKE = `#!/bin/sh
echo "pid $$"
printf '%s\\n' "$@"
echo "home \${TELEPORT_HOME-none}"
exit 7
`;
writeFileSync(join(dir, "sudo"), FAKE, { mode: 0o755 });

/** A process that becomes root by that sudo, with this environment and nothing else. */
function becomeRoot(env: Record<string, string>) {
  const script = `
    const { becomeRoot } = await import(${JSON.stringify(new URL("./sudo.ts", import.meta.url).href)});
    becomeRoot(["/bin/tsh", "vnet", "two words"], process.env);`;
  const args = ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", script];
  const { pid, stdout, stderr, status } = spawnSync(process.execPath, args, {
    env: { PATH: `${dir}:/usr/bin:/bin`, ...env },
    encoding: "utf8",
  });
  return { pid, lines: stdout.trim().split("\n"), stderr, status };
}

test("the process becomes sudo with the same command; pid, output and exit code are sudo's", () => {
  const { pid, lines, stderr, status } = becomeRoot({ HOME: userInfo().homedir });
  assert.deepEqual(lines, [`pid ${pid}`, "--", "/bin/tsh", "vnet", "two words", "home none"]);
  assert.deepEqual([status, stderr], [7, ""]);
});

test("only variables that are set are to be kept: sudo may refuse to keep any", () => {
  const { lines } = becomeRoot({
    HOME: userInfo().homedir,
    TELEPORT_HOME: "/srv/login",
    SSL_CERT_FILE: "/etc/ca.pem",
    https_proxy: "http://127.0.0.1:3128",
    LD_PRELOAD: "",
    NODE_OPTIONS: "",
  });
  const [, kept] = lines;
  assert.deepEqual(kept?.replace("--preserve-env=", "").split(",").sort(), [
    "SSL_CERT_FILE",
    "TELEPORT_HOME",
    "https_proxy",
  ]);
  assert.equal(lines.at(-1), "home /srv/login");
});

test("another HOME than the account's is another place of logins, which sudo would forget", () => {
  const { lines } = becomeRoot({ HOME: "/srv/home" });
  assert.deepEqual([lines[1], lines.at(-1)], ["--preserve-env=TELEPORT_HOME", "home /srv/home/.tsh"]);
});
