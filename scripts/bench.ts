/**
 * `npm run bench [-- NAME…] [-- --json]`: runs `bench/NAME.bench.ts`, all by
 * default, one after the other, each in a process of its own. With `--json`
 * they print only lines `{"bench","case","value","unit","reference","ratio"}`.
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { basename } from "node:path";

const args = process.argv.slice(2);
const names = args.filter((arg) => !arg.startsWith("-"));
const files = globSync("bench/*.bench.ts")
  .sort()
  .filter((file) => names.length === 0 || names.includes(basename(file, ".bench.ts")));
if (files.length === 0) {
  console.error(
    `no such bench; there are: ${globSync("bench/*.bench.ts")
      .map((f) => basename(f, ".bench.ts"))
      .sort()
      .join(", ")}`,
  );
  process.exitCode = 2;
}
for (const file of files) {
  const flags = [
    "--disable-warning=ExperimentalWarning",
    "--expose-gc",
    file,
    ...args.filter((arg) => arg.startsWith("-")),
  ];
  if (spawnSync(process.execPath, flags, { stdio: "inherit" }).status !== 0) process.exitCode = 1;
}
