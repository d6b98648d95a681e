import { type Malformed, malformed } from "../../base/mod.ts";
import { put16, put32 } from "./octets.ts";

export const ICMP_HEADER_LEN = 8;
export const ICMP_CHECKSUM_OFFSET = 2;

export interface IcmpHeader {
  readonly type: number;
  readonly code: number;
}

/** ICMP (RFC 792) or ICMPv6 (RFC 4443 §2.1): the two layouts agree this far. */
export function decodeIcmp(buf: Uint8Array, at: number, end: number): IcmpHeader | Malformed {
  if (end > buf.length || end - at < ICMP_HEADER_LEN) return malformed("icmp.truncated");
  return { type: buf[at]!, code: buf[at + 1]! };
}

/** Type and code of the same meaning in the two versions. */
export const icmp4 = {
  echoReply: 0,
  echoRequest: 8,
  unreachable: 3,
  codeHost: 1,
  codeProtocol: 2,
  codePort: 3,
  codeTooBig: 4,
  codeProhibited: 13,
  timeExceeded: 11,
  codeReassembly: 1,
  parameterProblem: 12,
} as const;

export const icmp6 = {
  echoRequest: 128,
  echoReply: 129,
  unreachable: 1,
  codeProhibited: 1,
  codeAddress: 3,
  codePort: 4,
  packetTooBig: 2,
  timeExceeded: 3,
  codeReassembly: 1,
  parameterProblem: 4,
  codeNextHeader: 1,
} as const;

/** Is this an error message, to which no error may answer (RFC 1122 §3.2.2, RFC 4443 §2.4 e)? */
export function isIcmpError(version: 4 | 6, type: number): boolean {
  return version === 6 ? type < 128 : type === 3 || type === 4 || type === 5 || type === 11 || type === 12;
}

/** Writes the 8 octets before the body, checksum 0. `rest`: unused, or a parameter problem's pointer. */
export function encodeIcmp(buf: Uint8Array, at: number, type: number, code: number, rest: number): void {
  buf[at] = type;
  buf[at + 1] = code;
  put16(buf, at + 2, 0);
  put32(buf, at + 4, rest);
}
