import { type Malformed, malformed } from "../base/mod.ts";
import { MAX_CONNECT_ANSWER } from "./limits.ts";

export interface ConnectAnswer {
  readonly status: number;
  /** Octets of the header, the empty line included; what follows is the tunnel's. */
  readonly length: number;
}

const END = Buffer.from("\r\n\r\n");

/** The answer to CONNECT (RFC 9112 §4) at the beginning of `bytes`; `undefined` while more must come. Fields are not read. */
export function parseConnectAnswer(bytes: Uint8Array): ConnectAnswer | Malformed | undefined {
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, MAX_CONNECT_ANSWER));
  // What is no HTTP from its first octets on is not waited for.
  if (!"HTTP/1.".startsWith(header.toString("latin1", 0, Math.min(7, header.length)))) {
    return malformed("dial.not-http");
  }
  const end = header.indexOf(END);
  if (end < 0) return bytes.length >= MAX_CONNECT_ANSWER ? malformed("dial.answer-too-long") : undefined;
  const line = header.toString("latin1", 0, header.indexOf("\r\n"));
  const status = /^HTTP\/1\.[01] ([1-5]\d\d)(?: [^\r\n]*)?$/.exec(line)?.[1];
  if (status === undefined) return malformed("dial.status-line");
  return { status: Number(status), length: end + END.length };
}
