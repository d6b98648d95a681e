import assert from "node:assert/strict";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { VERSION } from "../src/base/mod.ts";
import { runOk } from "../src/testkit/mod.ts";

const ROOT = join(import.meta.dirname, "..");
/** No Node in PATH but the system's, if there is any: the launchers bring their own. */
const ENV = { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: tmpdir() };

for (const name of ["teleport", "tsh", "tctl"]) {
  test(`${name} starts from anywhere, through links`, async (t) => {
    const directory = scratch(t);
    await runOk([join(ROOT, "install"), directory], { env: ENV });
    symlinkSync(join("bin", name), join(directory, name));
    const output = await runOk([join(directory, name), "version"], { env: ENV, cwd: "/" });
    assert.ok(output.startsWith(`Teleport v${VERSION}`), output);
  });
}

test("./install says where the programs are", async (t) => {
  const prefix = scratch(t);
  const output = await runOk([join(ROOT, "install")], { env: { ...ENV, PREFIX: prefix } });
  assert.equal(output, `Teleport binaries have been copied to ${prefix}/bin\n`);
});

function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "vnet-launchers-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
