import { type Malformed, malformed } from "../../base/mod.ts";
import { MAX_LABEL_LEN, MAX_NAME_LEN, MAX_POINTERS } from "./limits.ts";

/**
 * A domain name: its labels as octets, without the root. Octets, because a label
 * may hold a dot or a high octet (RFC 2181 §11), which text would confuse.
 */
export type Name = readonly Uint8Array[];

/** Octets of a message's header (RFC 1035 §4.1.1). */
export const HEADER_LEN = 12;

export interface ReadName {
  readonly name: Name;
  /** Where the name's own octets end in the message: after the first pointer, or after the root. */
  readonly end: number;
}

/**
 * Reads a name at `start`, following compression pointers (RFC 1035 §4.1.4).
 * A pointer must lead before the place where the labels just read began, so that
 * every chain ends, and not into the header. The labels alias `message`.
 */
export function readName(message: Uint8Array, start: number): ReadName | Malformed {
  const name: Uint8Array[] = [];
  const end = walkName(message, start, name);
  return typeof end === "number" ? { name, end } : end;
}

/** As `readName`, for whoever only wants to know where it ends. */
export function skipName(message: Uint8Array, start: number): number | Malformed {
  return walkName(message, start, undefined);
}

function walkName(message: Uint8Array, start: number, labels: Uint8Array[] | undefined): number | Malformed {
  let at = start;
  let segmentStart = start;
  let end: number | undefined;
  let nameLen = 1; // octets, with the root's
  let pointers = 0;
  for (;;) {
    const octet = message[at];
    if (octet === undefined) return malformed("dns.name-truncated");
    if (octet === 0) return end ?? at + 1;
    if (octet >= 0xc0) {
      const low = message[at + 1];
      if (low === undefined) return malformed("dns.name-truncated");
      const target = ((octet & 0x3f) << 8) | low;
      if (target < HEADER_LEN || target >= segmentStart || ++pointers > MAX_POINTERS)
        return malformed("dns.name-pointer");
      end ??= at + 2;
      at = segmentStart = target;
      continue;
    }
    if (octet > MAX_LABEL_LEN) return malformed("dns.label-type"); // 01 and 10: RFC 6891 §5
    const next = at + 1 + octet;
    if (next > message.length) return malformed("dns.name-truncated");
    nameLen += 1 + octet;
    if (nameLen > MAX_NAME_LEN) return malformed("dns.name-length");
    labels?.push(message.subarray(at + 1, next));
    at = next;
  }
}

/** The name uncompressed, as it stands in a message. */
export function encodeName(name: Name): Uint8Array {
  const out = new Uint8Array(name.reduce((sum, label) => sum + 1 + label.length, 1));
  let at = 0;
  for (const label of name) {
    out[at] = label.length;
    out.set(label, at + 1);
    at += 1 + label.length;
  }
  return out;
}

/** The octets of a host name, as `Question.host` or an app's address has it: dotted, with or without a final dot. */
export function encodeHost(host: string): Uint8Array | Malformed {
  const labels = host.replace(/\.$/, "").split(".");
  const name = labels.map((label) => Uint8Array.from(label, (char) => char.charCodeAt(0)));
  const bad = name.some((label) => label.length === 0 || label.length > MAX_LABEL_LEN);
  if (bad || !/^[\w.-]+$/.test(host)) return malformed("dns.host");
  if (host.length + 2 > MAX_NAME_LEN) return malformed("dns.name-length");
  return encodeName(name);
}
