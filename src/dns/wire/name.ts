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
  let at = start;
  let segmentStart = start;
  let end: number | undefined;
  let nameLen = 1; // octets, with the root's
  let pointers = 0;
  for (;;) {
    const octet = message[at];
    if (octet === undefined) return malformed("dns.name-truncated");
    if (octet === 0) return { name, end: end ?? at + 1 };
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
    name.push(message.subarray(at + 1, next));
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

/**
 * The name as a host name in lower case without a final dot, or `undefined` where
 * a label holds anything but letters, digits, `-` and `_`: nothing that VNet
 * serves has such a name, and text could not carry it unambiguously.
 */
export function hostOf(name: Name): string | undefined {
  if (name.length === 0) return undefined;
  let text = "";
  for (const label of name) {
    if (text !== "") text += ".";
    for (const octet of label) {
      const lower = lowerCase(octet);
      if (!isHostOctet(lower)) return undefined;
      text += String.fromCharCode(lower);
    }
  }
  return text;
}

/** The reverse of `hostOf`, for a dotted host name with or without a final dot. */
export function nameOfHost(host: string): Name | Malformed {
  const labels = host.replace(/\.$/, "").split(".");
  const name = labels.map((label) => Uint8Array.from(label, (char) => char.charCodeAt(0)));
  const bad = name.some((label) => label.length === 0 || label.length > MAX_LABEL_LEN);
  if (bad || !/^[\w.-]+$/.test(host)) return malformed("dns.host");
  if (host.length + 2 > MAX_NAME_LEN) return malformed("dns.name-length");
  return name;
}

/** Without regard to ASCII case (RFC 4343). */
export function sameName(a: Name, b: Name): boolean {
  return a.length === b.length && a.every((label, i) => sameLabel(label, b[i]!));
}

function sameLabel(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, i) => lowerCase(octet) === lowerCase(b[i]!));
}

function lowerCase(octet: number): number {
  return octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet;
}

function isHostOctet(octet: number): boolean {
  return (octet >= 0x61 && octet <= 0x7a) || (octet >= 0x30 && octet <= 0x39) || octet === 0x2d || octet === 0x5f;
}
