import { createInterface } from "node:readline";
import { say, UsageError } from "./program.ts";

/** A password line longer than this is a file on standard input by mistake. */
const LINE_LIMIT = 4096;

/** Asks on the terminal without echo; without a terminal takes one line of standard input. */
export async function askPassword(question: string): Promise<string> {
  return process.stdin.isTTY ? askHidden(question) : readOneLine();
}

async function readOneLine(): Promise<string> {
  const lines = createInterface({ input: process.stdin, terminal: false });
  try {
    for await (const line of lines) {
      if (line.length > LINE_LIMIT) break;
      return line;
    }
  } finally {
    lines.close();
    process.stdin.destroy();
  }
  throw new UsageError("no password: standard input is not a terminal and holds no line of a sensible length");
}

function askHidden(question: string): Promise<string> {
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
      say("\n");
      settle();
    };
    const onData = (typed: string) => {
      for (const key of typed) {
        if (key === "\r" || key === "\n") return finish(() => resolve(line));
        if (key === "\u0003" || (key === "\u0004" && line === ""))
          return finish(() => reject(new UsageError("cancelled")));
        if (key === "\u007f" || key === "\b") line = line.slice(0, -1);
        else if (line.length < LINE_LIMIT) line += key;
      }
    };
    process.stdin.on("data", onData);
  });
}
