import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { dirname } from "node:path";
import { type ResolvConfPaths, undoScript } from "../oscfg/mod.ts";
import { LauncherError } from "./errors.ts";
import { GUARD_LOCK_S, OS_COMMAND_MS } from "./limits.ts";
import { findProgram, systemPath } from "./programs.ts";

const BUSY = 75; // EX_TEMPFAIL of sysexits.h

/**
 * The shell at the other end of a pipe that undoes everything when the pipe
 * closes, whatever became of us. It holds a lock for as long as it lives: of two
 * VNets the second is refused, and after a crash the next one waits until the
 * old guard is done. Its first act is to clean up after a run whose guard was
 * killed as well.
 */
export class Guard {
  readonly #shell: ChildProcess;
  readonly #ended: Promise<number | null>;

  private constructor(shell: ChildProcess) {
    this.#shell = shell;
    this.#ended = new Promise((resolve) => shell.once("exit", (code) => resolve(code)));
  }

  /** @throws {LauncherError} when another VNet runs */
  static async start(device: string, paths: ResolvConfPaths): Promise<Guard> {
    const script = `${undoScript({ ip: findProgram("ip", ""), device, paths })}
trap '' HUP INT QUIT TERM
exec 9<${dirname(paths.conf)} || exit 1
${findProgram("flock", "")} -w ${GUARD_LOCK_S} 9 || exit ${BUSY}
undo
echo ready
while read -r _; do :; done
undo`;
    // Detached: Ctrl-C and a closing terminal are not for the guard.
    const shell = spawn(findProgram("sh", ""), ["-c", script], {
      stdio: ["pipe", "pipe", "inherit"],
      detached: true,
      cwd: "/",
      env: { PATH: systemPath() },
    });
    const guard = new Guard(shell);
    const ready = once(shell.stdout!, "data").then(() => "ready" as const);
    const outcome = await Promise.race([ready, guard.#ended]);
    if (outcome === "ready") return guard;
    throw new LauncherError(
      outcome === BUSY
        ? "VNet is running on this host already; end it before starting another"
        : `the clean-up guard did not start (exit code ${outcome})`,
    );
  }

  /** Undoes everything now. @throws {LauncherError} when something could not be undone */
  async undo(): Promise<void> {
    this.#shell.stdin!.end();
    const late = setTimeout(() => this.#shell.kill("SIGKILL"), OS_COMMAND_MS);
    const code = await this.#ended;
    clearTimeout(late);
    if (code !== 0) throw new LauncherError("not everything could be undone; the next start of VNet tries again");
  }
}
