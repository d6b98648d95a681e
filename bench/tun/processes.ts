import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Done, Job } from "./client.ts";

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
    const child = spawn(command[0]!, command.slice(1), {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      serialization: "advanced",
    });
    const part = new Part(child);
    if (file === "client.ts") return [part, undefined as T];
    const [first] = (await once(child, "message")) as [T];
    return [part, first];
  }

  cpu(): number {
    return cpuSeconds(this.child);
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

/** On a CPU so far, all threads together. By the scheduler's own nanoseconds: /proc/PID/stat counts in ticks of 10 ms. */
export function cpuSeconds({ pid }: ChildProcess): number {
  let ns = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    ns += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "latin1").split(" ", 1)[0]);
  }
  return ns / 1e9;
}

/** The network namespace in which everything happens: held by the far endpoint. */
export function inside(holder: Part): string[] {
  return ["nsenter", "-t", String(holder.child.pid), "-U", "-n", "--preserve-credentials"];
}

export async function output(command: string[], timeoutMs = 60_000): Promise<string> {
  const { stdout } = await promisify(execFile)(command[0]!, command.slice(1), { timeout: timeoutMs });
  return stdout;
}
