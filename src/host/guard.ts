import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { dirname } from "node:path";
import { type ResolvConfPaths, undoScript } from "../oscfg/mod.ts";
import { LauncherError } from "./errors.ts";
import { GUARD_LOCK_S, GUARD_SECOND_LOOK_S, MAX_GUARDS, OS_COMMAND_MS } from "./limits.ts";
import { findProgram, systemPath } from "./programs.ts";
import { GUARD_NAME, runningOwner } from "./running.ts";

const BUSY = 75; // EX_TEMPFAIL of sysexits.h

/**
 * The shell at the other end of a pipe that undoes everything when the pipe
 * closes, whatever became of us. It holds a lock for as long as it lives: of two
 * VNets the second is refused, and after a crash the next one waits until the
 * old guard is done. Its first act is to clean up after a run whose guard was
 * killed as well. One that is killed while we live is replaced.
 */
export class Guard {
  readonly #spawn: (command: "clean-up" | "take-over") => ChildProcess;
  #shell: ChildProcess;
  #ended: Promise<number | null>;
  #started = 1;
  #ending = false;

  private constructor(spawnShell: (command: "clean-up" | "take-over") => ChildProcess) {
    this.#spawn = spawnShell;
    this.#shell = spawnShell("clean-up");
    this.#ended = endOf(this.#shell);
  }

  /** @throws {LauncherError} when another VNet runs */
  static async start(device: string, paths: ResolvConfPaths, owner: string): Promise<Guard> {
    const script = guardScript(device, paths);
    const guard = new Guard((command) => spawnShell(script, command, owner));
    const ready = once(guard.#shell.stdout!, "data").then(() => "ready" as const);
    const outcome = await Promise.race([ready, guard.#ended]);
    if (outcome !== "ready") {
      throw new LauncherError(
        outcome === BUSY
          ? `VNet is running on this host already, started by ${runningOwner() ?? "another"}; end it before starting another`
          : `the clean-up guard did not start (exit code ${outcome})`,
      );
    }
    guard.#watch();
    return guard;
  }

  /** Undoes everything now. @throws {LauncherError} when something could not be undone */
  async undo(): Promise<void> {
    this.#ending = true;
    let code = await this.#end();
    if (code === null) {
      this.#replace(); // Killed at this very moment.
      code = await this.#end();
    }
    if (code !== 0) throw new LauncherError("not everything could be undone; the next start of VNet tries again");
  }

  async #end(): Promise<number | null> {
    const shell = this.#shell;
    shell.stdin!.end("end\n");
    const late = setTimeout(() => shell.kill("SIGKILL"), OS_COMMAND_MS);
    const code = await this.#ended;
    clearTimeout(late);
    return code;
  }

  #watch(): void {
    this.#shell.stdin!.on("error", () => {}); // EPIPE: its end says it all.
    void this.#ended.then(() => {
      if (!this.#ending && this.#started < MAX_GUARDS) this.#replace();
    });
  }

  #replace(): void {
    this.#started++;
    this.#shell = this.#spawn("take-over");
    this.#ended = endOf(this.#shell);
    this.#watch();
  }
}

function endOf(shell: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => shell.once("exit", (code) => resolve(code)).once("error", () => resolve(null)));
}

/** A program of ours that has lost its launcher may still be changing something: hence the second look. */
function guardScript(device: string, paths: ResolvConfPaths): string {
  return `${undoScript({ ip: findProgram("ip", ""), device, paths })}
trap '' HUP INT QUIT TERM
exec 9<${dirname(paths.conf)} || exit 1
${findProgram("flock", "")} -w ${GUARD_LOCK_S} 9 || exit ${BUSY}
[ "$1" = take-over ] || undo
echo ready
while read -r line; do last=$line; done
undo
result=$?
[ "$last" = end ] || { sleep ${GUARD_SECOND_LOOK_S}; undo; }
exit $result`;
}

/** Detached: Ctrl-C and a closing terminal are not for the guard. */
function spawnShell(script: string, command: string, owner: string): ChildProcess {
  return spawn(findProgram("sh", ""), ["-c", script, GUARD_NAME, command, owner], {
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
    cwd: "/",
    env: { PATH: systemPath() },
  });
}
