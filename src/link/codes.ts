import type { ResetReason } from "../base/mod.ts";

/** Numbers on the wire. Entries are only ever added. */
const RESET_CODES: Record<ResetReason, number> = {
  peer: 1,
  timeout: 2,
  unreachable: 3,
  refused: 4,
  protocol: 5,
  shutdown: 6,
  "session-ended": 7,
};

/** Why an OPEN was refused. `limit` and `draining` may be tried again elsewhere. */
export type RefusalCode =
  | "port"
  | "access-denied"
  | "connection-refused"
  | "unreachable"
  | "timeout"
  | "limit"
  | "draining"
  | "session-ended"
  | "internal";

const REFUSAL_CODES: Record<RefusalCode, number> = {
  port: 1,
  "access-denied": 2,
  "connection-refused": 3,
  unreachable: 4,
  timeout: 5,
  limit: 6,
  draining: 7,
  "session-ended": 8,
  internal: 9,
};

/** What a GOAWAY says. `drain` lets open streams finish; all others end the link at once. */
export type GoawayCode =
  | "drain"
  | "done"
  | "protocol"
  | "version"
  | "access-denied"
  | "session-ended"
  | "shutdown"
  | "internal";

const GOAWAY_CODES: Record<GoawayCode, number> = {
  drain: 1,
  done: 2,
  protocol: 3,
  version: 4,
  "access-denied": 5,
  "session-ended": 6,
  shutdown: 7,
  internal: 8,
};

/**
 * Why a link ended: what a GOAWAY said, or `carrier` (the connection ended, and
 * no other came in time), `dead` (the same after silence), `timeout` (no HELLO),
 * `gone` (its agent has ended it, or is another process now).
 */
export type CloseCode = Exclude<GoawayCode, "drain"> | "carrier" | "dead" | "timeout" | "gone";

export const resetCodes = codeTable<ResetReason>(RESET_CODES, "protocol");
export const refusalCodes = codeTable<RefusalCode>(REFUSAL_CODES, "internal");
export const goawayCodes = codeTable<GoawayCode>(GOAWAY_CODES, "internal");

interface CodeTable<Name extends string> {
  number(name: Name): number;
  /** A number that a newer peer knows and we do not reads as the general failure. */
  name(number: number): Name;
}

function codeTable<Name extends string>(numbers: Record<Name, number>, unknown: Name): CodeTable<Name> {
  const names = new Map<number, Name>();
  for (const name of Object.keys(numbers) as Name[]) names.set(numbers[name], name);
  return { number: (name) => numbers[name], name: (number) => names.get(number) ?? unknown };
}

/** What a link's streams are reset with when it ends so. */
export function resetReasonOf(code: CloseCode): ResetReason {
  switch (code) {
    case "protocol":
    case "version":
    case "internal":
      return "protocol";
    case "access-denied":
      return "refused";
    case "session-ended":
      return "session-ended";
    case "shutdown":
    case "done":
      return "shutdown";
    case "carrier":
    case "dead":
    case "timeout":
    case "gone":
      return "unreachable";
  }
}
