/**
 * `npm test [-- FILE…]`: runs the test files (all of them by default) with
 * node:test, whose closing lines come last.
 *
 * A full run in which nothing may be skipped also compares how many tests ran
 * with `test/count.json`; `--update-count` raises the number there. That number
 * may only grow, so that no test is lost unnoticed (`test/tidy.test.ts`).
 */
import { spawn } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const COUNT_FILE = "test/count.json";
/** Beyond this a test hangs; the slowest need about half of it on a loaded two-core machine. */
const TEST_TIMEOUT_MS = 180_000;
/** Test files at once: most of them wait for other processes. */
const CONCURRENCY = 2;

interface Counts {
  /** As root, with everything installed. */
  root: number;
  /** As an ordinary user. */
  user: number;
}

interface Summary {
  tests: number;
  skipped: number;
}

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  const files = args.filter((arg) => !arg.startsWith("-"));
  const scratch = mkdtempSync(join(tmpdir(), "vnet-test-run-"));
  try {
    const summaryFile = join(scratch, "summary.json");
    const code = await runTests(files.length > 0 ? files : testFiles(), summaryFile);
    if (code !== 0 || files.length > 0) return code;
    return compareCount(readJson<Summary>(summaryFile), args.includes("--update-count"));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function testFiles(): string[] {
  return globSync(["src/**/*.test.ts", "test/**/*.test.ts"]).sort();
}

async function runTests(files: string[], summaryFile: string): Promise<number> {
  const child = spawn(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      "--import=./scripts/test-watchdog.ts",
      "--test",
      `--test-concurrency=${CONCURRENCY}`,
      `--test-timeout=${TEST_TIMEOUT_MS}`,
      "--test-reporter=spec",
      "--test-reporter-destination=stdout",
      "--test-reporter=./scripts/test-summary.ts",
      `--test-reporter-destination=${summaryFile}`,
      ...files,
    ],
    { stdio: "inherit" },
  );
  // The terminal sends Ctrl-C to both; a lone SIGTERM must reach the tests too.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  return new Promise((resolve) => child.on("close", (code) => resolve(code ?? 1)));
}

/** 0, or 1 with a message when fewer tests ran than the repository knows of. */
function compareCount(summary: Summary, update: boolean): number {
  const kind = countKind();
  if (kind === undefined) return 0;
  const ran = summary.tests - summary.skipped;
  const counts = readJson<Counts>(COUNT_FILE);
  if (ran < counts[kind]) {
    process.stderr.write(`${ran} tests ran, but ${COUNT_FILE} knows of ${counts[kind]} (${kind})\n`);
    return 1;
  }
  if (update) writeFileSync(COUNT_FILE, `${JSON.stringify({ ...counts, [kind]: ran }, null, 2)}\n`);
  return 0;
}

function countKind(): keyof Counts | undefined {
  if (process.env.REQUIRE_ALL === "1") return "root";
  return process.env.REQUIRE_ALL_BUT_ROOT === "1" ? "user" : undefined;
}

function readJson<T>(file: string): T {
  return JSON.parse(readFileSync(file, "utf8")) as T;
}
