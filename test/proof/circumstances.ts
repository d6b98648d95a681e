import { execFileSync } from "node:child_process";
import { cpus, release, totalmem } from "node:os";

/** Date, commit, machine and seed of a run, as a paragraph. */
export function circumstances(seed: number | string | undefined): string {
  const git = (...args: string[]) => execFileSync("git", args, { encoding: "utf8" }).trim();
  const changed =
    git("status", "--porcelain", "-uno", "src/net", "src/tun", "src/base") === "" ? "" : ", with changes not committed";
  return [
    `Date: ${new Date().toISOString().slice(0, 16)}Z`,
    `Commit: ${git("rev-parse", "--short", "HEAD")}${changed}`,
    `Machine: ${cpus().length} × ${cpus()[0]?.model ?? "?"}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`,
    ...(seed === undefined ? [] : [`Seed: ${seed}`]),
    "",
  ].join("  \n");
}
