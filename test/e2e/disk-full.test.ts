import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { needs, run } from "../../src/testkit/mod.ts";

test(
  "a full disk under the audit log: what must be audited is refused, open streams and new ones of theirs go on",
  needs("userns", "unshare"),
  async (t) => {
    const dir = await mkdtemp(join(tmpdir(), "disk-full-"));
    t.after(() => rm(dir, { recursive: true }));
    const fixture = join(import.meta.dirname, "disk-full.ts");
    const script = 'mount -t tmpfs -o size=24m tmpfs "$1" && exec "$2" --disable-warning=ExperimentalWarning "$3" "$1"';
    const command = ["unshare", "-Urm", "sh", "-c", script, "sh", dir, process.execPath, fixture];
    const { code, stderr } = await run(command, { timeoutMs: 60_000 });
    assert.equal(code, 0, stderr);
  },
);
