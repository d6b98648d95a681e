import { isMalformed } from "../../base/mod.ts";
import { decodeHeader, Flag, OPCODE_QUERY, Rcode, sameQuestion } from "../wire/mod.ts";

export type Transport = "udp" | "tcp";

/** A question under way. */
export interface Asked {
  /** Gives up: `done` is no longer called. */
  cancel(): void;
}

/** Called once, never from within the call that asked. */
export type Done = (result: Uint8Array | Error) => void;

/** The way to the servers. */
export interface Asker {
  /** Asks one server; an error says that the system knows it cannot be reached. */
  ask(server: string, query: Uint8Array, transport: Transport, done: Done): Asked;
  close(): void;
}

/** The message with its length before it. */
export function framed(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(2 + message.length);
  out.set([message.length >> 8, message.length & 0xff]);
  out.set(message, 2);
  return out;
}

/** Does `message` answer `query` (RFC 5452 §9.1)? An error may come without the question. */
export function isAnswerTo(query: Uint8Array, message: Uint8Array): boolean {
  const asked = decodeHeader(query);
  const header = decodeHeader(message);
  if (isMalformed(asked) || isMalformed(header)) return false;
  if (header.id !== asked.id || header.opcode !== asked.opcode || !(header.flags & Flag.QR)) return false;
  if (asked.opcode !== OPCODE_QUERY) return true; // the question section means something else there
  if (header.questions === 0) return header.rcode !== Rcode.NOERROR && header.answers === 0;
  return header.questions === 1 && sameQuestion(query, message);
}
