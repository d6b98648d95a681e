import type { Duplex } from "node:stream";
import type { HostReport } from "../oscfg/mod.ts";
import { MAX_MESSAGE_LEN } from "./limits.ts";

/** User process to launcher, one JSON document per line. `state` is a `WantedState`, which carries the version. */
export interface ApplyRequest {
  readonly id: number;
  readonly state: unknown;
}

/** The launcher's answer. */
export type ApplyReply =
  | { readonly id: number; readonly ok: true }
  | { readonly id: number; readonly ok: false; readonly code: string; readonly message: string };

/** What the launcher says unasked: first of all, and after each change. */
export interface ReportMessage {
  readonly report: HostReport;
}

/**
 * Calls `receive` with each line's JSON value; `undefined` stands for a line
 * that is too long or no JSON, after which the sender cannot be trusted.
 */
export function readMessages(stream: Duplex, receive: (message: unknown) => void): void {
  let pending = "";
  stream.setEncoding("utf8");
  stream.on("data", (text: string) => {
    const lines = (pending + text).split("\n");
    pending = lines.pop() ?? "";
    for (const line of lines) receive(parse(line));
    if (pending.length > MAX_MESSAGE_LEN) receive(undefined);
  });
}

function parse(line: string): unknown {
  if (line.length > MAX_MESSAGE_LEN) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

export function writeMessage(stream: Duplex, message: ApplyRequest | ApplyReply | ReportMessage): void {
  if (!stream.destroyed && stream.writable) stream.write(`${JSON.stringify(message)}\n`);
}
