/** `npm run check`: formatter, linters, compiler, layers and tidiness; what CI runs before the tests. */
import { spawnSync } from "node:child_process";

const PARTS: Array<[name: string, command: string, ...args: string[]]> = [
  ["biome", "biome", "check", "--error-on-warnings", "."],
  ["oxlint", "oxlint", "--type-aware", "--deny-warnings"],
  ["tsc", "tsc", "-p", "."],
  ["layers, tidiness", "node", "--test", "--test-reporter=dot", "src/layers.test.ts", "test/tidy.test.ts"],
];

const failed = PARTS.filter(([name, command, ...args]) => {
  const start = performance.now();
  const { status } = spawnSync(command, args, { stdio: "inherit" });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${status === 0 ? "ok  " : "FAIL"} ${name} (${seconds} s)`);
  return status !== 0;
});
process.exitCode = failed.length === 0 ? 0 : 1;
