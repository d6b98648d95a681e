import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { needs, run } from "../src/testkit/mod.ts";

const ROOT = join(import.meta.dirname, "..");

test(
  "the demo reaches its database by name and leaves nothing behind",
  needs("tun", "userns", "curl", "ip"),
  async (t) => {
    const scratch = mkdtempSync(join(tmpdir(), "vnet-demo-test-"));
    t.after(() => rmSync(scratch, { recursive: true, force: true }));
    chmodSync(scratch, 0o755); // PostgreSQL has an account of its own
    const env = { ...(process.env as Record<string, string>), TMPDIR: scratch };
    const command = ["sh", join(ROOT, "scripts/run.sh"), "scripts/demo.ts"];
    const { code, stdout, stderr } = await run(command, { env, timeoutMs: 120_000 });
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /^vnet_config has been created$/m);
    assert.match(stdout, /^\$ tsh vnet exec -- .*postgres:\/\/postgres@tcp-app\.company\.test\/postgres/m);
    assert.match(stdout, /PostgreSQL \d+/);
    assert.match(stdout, /"event":"app\.session\.end"/);
    assert.deepEqual(readdirSync(scratch), []);
    assert.deepEqual(processesOf(scratch), []);
  },
);

/** Command lines of processes whose environment names `directory`. */
function processesOf(directory: string): string[] {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      if (!readFileSync(`/proc/${pid}/environ`, "utf8").includes(`TMPDIR=${directory}`)) return [];
      return [readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")];
    } catch {
      return []; // no process, another user's, or ended meanwhile
    }
  });
}
