/**
 * `npm run proof -- NAME [ARG…]`: runs `test/proof/NAME.ts`, a measurement or
 * demonstration too long for `npm test`. It prints what it did and found; the
 * figures worth keeping go to `docs/proof/NAME.md` by hand.
 */
import { spawnSync } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { basename } from "node:path";

const [name, ...args] = process.argv.slice(2);
const file = `test/proof/${name}.ts`;
if (name === undefined || !/^[\w-]+$/.test(name) || !existsSync(file)) {
  const known = globSync("test/proof/*.ts").map((path) => basename(path, ".ts"));
  console.error(`usage: npm run proof -- NAME    (${known.sort().join(", ")})`);
  process.exitCode = 2;
} else {
  const flags = ["--disable-warning=ExperimentalWarning", file, ...args];
  process.exitCode = spawnSync(process.execPath, flags, { stdio: "inherit" }).status ?? 1;
}
