import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { Command } from "commander";
import { addConfigureCommand } from "./configure.ts";

async function configure(...args: string[]): Promise<void> {
  const program = new Command("teleport").exitOverride();
  addConfigureCommand(program);
  await program.parseAsync(["node", "teleport", "configure", "--silent", ...args]);
}

test("a starting file is written once, for its owner only, and passes its own check", async () => {
  const dir = await mkdtemp(join(tmpdir(), "configure-"));
  try {
    const file = join(dir, "a b.yaml");
    const output = `--output=${pathToFileURL(file)}`;
    await configure(output, "--cluster-name=root.test", "--token=secret");
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const text = await readFile(file, "utf8");
    assert.match(text, /^ {2}cluster_name: root\.test$/m);
    await assert.rejects(configure(output), /exists already: move it away/);
    assert.equal(await readFile(file, "utf8"), text);
    await assert.rejects(
      configure(`--output=${join(dir, "no", "such", "dir.yaml")}`),
      /cannot write .*: its directory does not exist; or choose another place/,
    );
    await assert.rejects(configure("--output=relative.yaml"), /expected stdout, file, or file:/);
    await assert.rejects(configure(output, "--app-name=UPPER", "--app-uri=tcp://x:1"), /teleport|valid DNS label/);
  } finally {
    await rm(dir, { recursive: true });
  }
});
