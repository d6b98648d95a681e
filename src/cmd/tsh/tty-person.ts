import { openSync, readFileSync } from "node:fs";
import { ReadStream } from "node:tty";
import type { MfaPerson } from "../../client/mod.ts";
import { say } from "../cli/program.ts";
import { personAt } from "./mfa-person.ts";

/**
 * Whoever sits at the terminal that this process was started from, also while
 * standard input belongs to a command that runs beside it. In the background
 * nobody is asked to type: reading there would stop the process (SIGTTIN).
 */
export function personAtTerminal(o: { mode: string; browser: boolean }): MfaPerson {
  const { otp: _, ...person } = personAt({ visible: askTerminal }, o);
  const canType = o.mode !== "browser" && isForeground() && openTerminal()?.destroy() !== undefined;
  return canType ? personAt({ visible: askTerminal }, o) : person;
}

/** One line; the kernel echoes and edits it. */
function askTerminal(question: string, signal?: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const terminal = openTerminal();
  if (terminal === undefined) return Promise.reject(new Error("there is no terminal"));
  say(question);
  const onAbort = () => {
    say("\n");
    reject(signal?.reason);
  };
  terminal.once("data", (line: Buffer) => resolve(line.toString().trim()));
  terminal.once("error", reject);
  terminal.once("end", () => reject(new Error("the terminal was closed")));
  signal?.addEventListener("abort", onAbort, { once: true });
  return promise.finally(() => {
    signal?.removeEventListener("abort", onAbort);
    terminal.destroy();
  });
}

function openTerminal(): ReadStream | undefined {
  try {
    return new ReadStream(openSync("/dev/tty", "r"));
  } catch {
    return undefined; // A daemon has none.
  }
}

/** Whether the terminal belongs to this process's group now (`proc(5)`: pgrp and tpgid). */
function isForeground(): boolean {
  try {
    const fields = readFileSync("/proc/self/stat", "latin1")
      .replace(/^.*\) /s, "")
      .split(" ");
    return fields[2] === fields[5];
  } catch {
    return false;
  }
}
