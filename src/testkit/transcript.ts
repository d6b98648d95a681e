/**
 * Commands as a person would type them, run one after the other by `sh` on one
 * machine, with what was typed and answered told as it happens.
 */
import { sleep } from "../base/mod.ts";
import type { Machine } from "./hosts.ts";
import type { BackgroundProcess } from "./process.ts";

export interface TranscriptOptions {
  machine: Machine;
  /** The shell's environment; complete. */
  env: Record<string, string>;
  cwd: string;
  /** Where it is told; kept in `text` in any case. */
  tell?: (text: string) => void;
}

export class Transcript {
  #text = "";
  readonly #options: TranscriptOptions;

  constructor(options: TranscriptOptions) {
    this.#options = options;
  }

  get text(): string {
    return this.#text;
  }

  /** A remark between the commands. */
  remark(text: string): void {
    this.#tell(`\n# ${text}\n`);
  }

  /** Types one command (it may have several lines) and answers its output; fails unless it exits with `code`. */
  async type(command: string, { code = 0, timeoutMs = 60_000 } = {}): Promise<string> {
    this.#tell(`$ ${command}\n`);
    const result = await this.#shell(command, timeoutMs);
    this.#tell(result.stdout);
    if (result.code !== code) {
      throw new Error(`exit code ${result.code ?? result.signal}, expected ${code}: ${command}\n${result.stdout}`);
    }
    return result.stdout;
  }

  /** Types a command that stays, with `&` behind it. */
  background(name: string, command: string): BackgroundProcess {
    this.#tell(`$ ${command} &\n`);
    const { machine, env, cwd } = this.#options;
    // `exec`: the shell must not stand between us and the program's pid.
    return machine.spawn(name, ["sh", "-c", `exec ${command}`], { env, cwd, input: "" });
  }

  /** Writes a file by typing it. */
  async file(path: string, content: string): Promise<void> {
    await this.type(`cat >${path} <<'EOF'\n${content.trimEnd()}\nEOF`);
  }

  /** Repeats a command, untold, until it exits with 0 and its output matches, as long as `beside` runs. */
  async until(beside: BackgroundProcess, command: string, pattern = /(?:)/, timeoutMs = 20_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const result = await this.#shell(command, timeoutMs);
      if (result.code === 0 && pattern.test(result.stdout)) return;
      if (!beside.running) throw new Error(`${beside.name} has ended:\n${beside.output}`);
      if (performance.now() > deadline) {
        throw new Error(`not in time: ${command}\n${result.stdout}\n${beside.name}:\n${beside.output}`);
      }
      await sleep(20);
    }
  }

  #shell(command: string, timeoutMs: number) {
    const { machine, env, cwd } = this.#options;
    return machine.exec(["sh", "-c", `exec 2>&1\n${command}`], { env, cwd, timeoutMs });
  }

  #tell(text: string): void {
    this.#text += text;
    this.#options.tell?.(text);
  }
}
