import { createInterface, type Interface } from "node:readline";
import { say, UsageError } from "./program.ts";

/** A password line longer than this is a file on standard input by mistake. */
const LINE_LIMIT = 4096;

/** Asks the person at the terminal; without a terminal takes one line of standard input for each question. */
export class Prompt {
  #lines: { input: Interface; each: AsyncIterator<string> } | undefined;

  /** Without echo. */
  hidden(question: string, signal?: AbortSignal): Promise<string> {
    return process.stdin.isTTY ? askTerminal(question, { echo: false, signal }) : this.#nextLine();
  }

  /** With echo: what is typed is worth nothing to who looks over the shoulder a minute later. */
  visible(question: string, signal?: AbortSignal): Promise<string> {
    return process.stdin.isTTY ? askTerminal(question, { echo: true, signal }) : this.#nextLine();
  }

  async #nextLine(): Promise<string> {
    if (this.#lines === undefined) {
      const input = createInterface({ input: process.stdin, terminal: false });
      this.#lines = { input, each: input[Symbol.asyncIterator]() };
    }
    const { value: line, done } = await this.#lines.each.next();
    if (!done && line.length <= LINE_LIMIT) return line;
    this.#lines.input.close();
    throw new UsageError("no answer: standard input is not a terminal and holds no line of a sensible length");
  }
}

function askTerminal(question: string, o: { echo: boolean; signal: AbortSignal | undefined }): Promise<string> {
  say(question);
  process.stdin.setRawMode(true);
  process.stdin.resume();
  process.stdin.setEncoding("utf8");
  return new Promise((resolve, reject) => {
    let line = "";
    const finish = (settle: () => void) => {
      process.stdin.setRawMode(false);
      process.stdin.pause();
      process.stdin.off("data", onData);
      o.signal?.removeEventListener("abort", onAbort);
      say("\n");
      settle();
    };
    const onAbort = () => finish(() => reject(o.signal?.reason));
    const onData = (typed: string) => {
      for (const key of typed) {
        if (key === "\r" || key === "\n") return finish(() => resolve(line));
        if (key === "\u0003" || (key === "\u0004" && line === ""))
          return finish(() => reject(new UsageError("cancelled")));
        if (key === "\u007f" || key === "\b") {
          if (o.echo && line !== "") say("\b \b");
          line = line.slice(0, -1);
        } else if (line.length < LINE_LIMIT) {
          if (o.echo && key >= " ") say(key);
          line += key;
        }
      }
    };
    process.stdin.on("data", onData);
    o.signal?.addEventListener("abort", onAbort, { once: true });
    if (o.signal?.aborted) onAbort();
  });
}
