import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Done, Job } from "./client.ts";

const CLOCK_TICKS_PER_SECOND = 100; // USER_HZ, the same on every Linux

/** One process of the bench. */
export class Part {
  readonly child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.child = child;
  }

  /** `before`: a command that runs it, such as `unshare -rn`. Resolves with the first message. */
  static async start<T>(before: string[], file: string, ...args: (string | number)[]): Promise<[Part, T]> {
    const command = [
      ...before,
      process.execPath,
      ...process.execArgv,
      join(import.meta.dirname, file),
      ...args.map(String),
    ];
    const child = spawn(command[0]!, command.slice(1), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    const part = new Part(child);
    if (file === "client.ts") return [part, undefined as T];
    const [first] = (await once(child, "message")) as [T];
    return [part, first];
  }

  /** User and system seconds so far (proc_pid_stat(5), fields 14 and 15). */
  cpu(): number {
    const stat = readFileSync(`/proc/${this.child.pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
  }

  async ask<T>(message: object | string): Promise<T> {
    this.child.send(message);
    const [answer] = (await once(this.child, "message")) as [T];
    return answer;
  }

  async run(job: Job): Promise<{ seconds: number; timesMs: number[] }> {
    const done = await this.ask<Done>(job);
    if ("error" in done) throw new Error(done.error);
    return done;
  }

  stop(): void {
    if (this.child.connected) this.child.disconnect();
  }
}

/** The network namespace in which everything happens: held by the far endpoint. */
export function inside(holder: Part): string[] {
  return ["nsenter", "-t", String(holder.child.pid), "-U", "-n", "--preserve-credentials"];
}

export async function output(command: string[], timeoutMs = 60_000): Promise<string> {
  const { stdout } = await promisify(execFile)(command[0]!, command.slice(1), { timeout: timeoutMs });
  return stdout;
}
