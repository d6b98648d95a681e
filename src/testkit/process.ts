/** Programs that a test runs: once to the end, or beside the test until it stops them, always by pid. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { sleep } from "../base/mod.ts";

export interface RunOptions {
  env?: Record<string, string>;
  cwd?: string;
  /** Standard input; empty by default. */
  input?: string | Uint8Array;
  /** SIGKILL after this; 30 s by default. */
  timeoutMs?: number;
}

export interface RunResult {
  /** Exit code, or null after a signal. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

const DEFAULT_TIMEOUT_MS = 30_000;
/** Kept of a long-running program's output: plenty for a failure report. */
const MAX_OUTPUT_CHARS = 4 * 1024 * 1024;
/** A bound for what takes a second or two on a machine with nothing else to do. */
const OUTPUT_TIMEOUT_MS = 40_000;
/** For the pipes to drain after the program's end. */
const PIPE_GRACE_MS = 500;
/** Between SIGTERM and SIGKILL. */
const STOP_GRACE_MS = 10_000;

/** Runs `command` to its end. Any exit code is a result; only a program that cannot be started is an error. */
export async function run(command: string[], options: RunOptions = {}): Promise<RunResult> {
  const child = launch(command, options);
  const stdout = collect(child, "stdout");
  const stderr = collect(child, "stderr");
  child.stdin?.on("error", () => {}); // it may end without reading all
  child.stdin?.end(options.input ?? "");
  const timer = setTimeout(() => killTree(child), options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  try {
    const { code, signal } = await ended(child);
    return { code, signal, stdout: stdout(), stderr: stderr() };
  } finally {
    clearTimeout(timer);
  }
}

/** `run`, which throws with all output unless the exit code is 0. Answers standard output. */
export async function runOk(command: string[], options: RunOptions = {}): Promise<string> {
  return expectOk(command, await run(command, options));
}

export function expectOk(command: string[], result: RunResult): string {
  if (result.code === 0) return result.stdout;
  const how = result.code === null ? `killed by ${result.signal}` : `exit code ${result.code}`;
  throw new Error(`${command.join(" ")}: ${how}\n${result.stdout}${result.stderr}`);
}

/** A program that runs beside the test. Disposing of it stops it. */
export class BackgroundProcess implements AsyncDisposable {
  readonly name: string;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;
  #output = "";

  constructor(name: string, command: string[], options: RunOptions = {}) {
    this.name = name;
    this.#child = launch(command, options);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-MAX_OUTPUT_CHARS);
      });
    }
    this.#child.stdin?.on("error", () => {});
    if (options.input !== undefined) this.#child.stdin?.end(options.input);
    this.exited = ended(this.#child);
    this.exited.catch(() => {}); // whoever waits for it sees the error
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Standard output and error so far, as they came. */
  get output(): string {
    return this.#output;
  }

  /** The program's own pid, behind `nsenter` and the like. */
  get pid(): number {
    return innermost(this.#child.pid ?? 0);
  }

  /** Writes to its standard input, which stays open. */
  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  endInput(): void {
    this.#child.stdin?.end();
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) process.kill(this.pid, signal);
  }

  /** Waits until the output matches; fails with the output if it never does or the program ends first. */
  async waitFor(pattern: RegExp, timeoutMs = OUTPUT_TIMEOUT_MS): Promise<RegExpExecArray> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const match = pattern.exec(this.#output);
      if (match !== null) return match;
      if (!this.running) throw new Error(`${this.name} ended before ${pattern}:\n${this.#output}`);
      if (performance.now() > deadline) throw new Error(`${this.name}: no ${pattern} in time:\n${this.#output}`);
      await sleep(10);
    }
  }

  /** SIGTERM (or `signal`), SIGKILL after a grace period; returns when it has ended. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    this.signal(signal);
    const timer = setTimeout(() => killTree(this.#child), STOP_GRACE_MS);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

function launch(command: string[], options: RunOptions): ChildProcess {
  const [file = "", ...args] = command;
  return spawn(file, args, {
    stdio: "pipe",
    env: options.env ?? process.env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
}

function collect(child: ChildProcess, which: "stdout" | "stderr"): () => string {
  const chunks: Buffer[] = [];
  child[which]?.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString("utf8");
}

/** Ended, with its output complete. A child of its own that keeps the pipes open is not waited for. */
function ended(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal }));
    child.on("exit", (code, signal) => {
      setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
        resolve({ code, signal });
      }, PIPE_GRACE_MS).unref();
    });
  });
}

function killTree(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const inner = innermost(child.pid);
  if (inner !== child.pid) process.kill(inner, "SIGKILL");
  child.kill("SIGKILL");
}

/**
 * `nsenter`, `unshare` and `setpriv --fork` wait for one child and pass no
 * signals on: follows them down to the program that they run.
 */
function innermost(pid: number): number {
  const comm = readProc(pid, "comm").trim();
  if (comm !== "nsenter" && comm !== "unshare") return pid;
  const child = Number(readProc(pid, `task/${pid}/children`).trim().split(" ")[0]);
  return child > 0 ? innermost(child) : pid;
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return ""; // it has just ended
  }
}
