import { type Malformed, malformed } from "../../base/mod.ts";
import { HEADER_LEN, skipName } from "./name.ts";

/** The first question of a message, which follows the header at once. */
export interface Question {
  /** Octets of the name, with the root's. */
  readonly nameLen: number;
  /**
   * The name in lower case without a final dot, or `undefined` where a label holds
   * anything but letters, digits, `-` and `_`: nothing that VNet serves has such a
   * name, and text could not carry it unambiguously (RFC 2181 §11).
   */
  readonly host: string | undefined;
  readonly type: number;
  readonly class: number;
  /** Where the question's octets end in the message. */
  readonly end: number;
}

const DOT = 0x2e;

/** The first question of a message whose header says that it has one. A pointer in it has nothing to lead to. */
export function decodeQuestion(message: Uint8Array): Question | Malformed {
  const end = skipName(message, HEADER_LEN);
  if (typeof end !== "number") return end;
  if (end + 4 > message.length) return malformed("dns.truncated");
  return {
    nameLen: end - HEADER_LEN,
    host: hostAt(message, HEADER_LEN, end - 1),
    type: (message[end]! << 8) | message[end + 1]!,
    class: (message[end + 2]! << 8) | message[end + 3]!,
    end: end + 4,
  };
}

/** Do both messages begin with the same question, without regard to ASCII case (RFC 4343)? */
export function sameQuestion(a: Uint8Array, b: Uint8Array): boolean {
  const end = skipName(a, HEADER_LEN);
  if (typeof end !== "number" || a.length < end + 4 || b.length < end + 4) return false;
  // Length octets are below the letters, so that they are compared as they are.
  for (let at = HEADER_LEN; at < end; at++) if (lowerCase(a[at]!) !== lowerCase(b[at]!)) return false;
  for (let at = end; at < end + 4; at++) if (a[at] !== b[at]) return false;
  return true;
}

/** The host name of the labels from `start` to `end`, where the root is. */
function hostAt(message: Uint8Array, start: number, end: number): string | undefined {
  if (start === end) return undefined;
  const text = Buffer.allocUnsafe(end - start - 1);
  let labelEnd = start + 1 + message[start]!;
  for (let at = start + 1; at < end; at++) {
    let octet = message[at]!;
    if (at === labelEnd) {
      labelEnd += 1 + octet;
      octet = DOT;
    } else {
      octet = lowerCase(octet);
      if (!isHostOctet(octet)) return undefined;
    }
    text[at - start - 1] = octet;
  }
  return text.toString("latin1");
}

function lowerCase(octet: number): number {
  return octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet;
}

function isHostOctet(octet: number): boolean {
  return (octet >= 0x61 && octet <= 0x7a) || (octet >= 0x30 && octet <= 0x39) || octet === 0x2d || octet === 0x5f;
}
