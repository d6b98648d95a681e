import { u16 } from "./octets.ts";

/** Below this a typed-array view costs more than it saves. */
const VIEW_PAYS_FROM = 128;

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * Adds the 16-bit words of `buf[from, to)` to `sum` (RFC 1071 §1); an odd last
 * octet is padded with zero. At most 65,535 octets per call keep the result
 * below 2^32, where `fold` expects it.
 */
export function addWords(sum: number, buf: Uint8Array, from: number, to: number): number {
  if (to - from >= VIEW_PAYS_FROM && LITTLE_ENDIAN && ((buf.byteOffset + from) & 1) === 0) {
    const words = (to - from) >> 1;
    const swapped = fold(sumNative(new Uint16Array(buf.buffer, buf.byteOffset + from, words)));
    // The sum is independent of byte order up to one swap at the end (RFC 1071 §2 B).
    const rest = (to - from) & 1 ? buf[to - 1]! << 8 : 0;
    return fold(sum) + ((swapped >> 8) | ((swapped & 0xff) << 8)) + rest;
  }
  let total = fold(sum);
  const even = from + ((to - from) & ~1);
  for (let at = from; at < even; at += 2) total += u16(buf, at);
  if (even < to) total += buf[even]! << 8;
  return total;
}

function sumNative(words: Uint16Array): number {
  // Two's-complement additions wrap at 2^32, which 32,767 words cannot reach.
  let a = 0;
  let b = 0;
  const pairs = words.length & ~3;
  for (let i = 0; i < pairs; i += 4) {
    a = (a + words[i]! + words[i + 1]!) | 0;
    b = (b + words[i + 2]! + words[i + 3]!) | 0;
  }
  for (let i = pairs; i < words.length; i++) a = (a + words[i]!) | 0;
  return fold(a >>> 0) + fold(b >>> 0);
}

/** Carries back into 16 bits (RFC 1071 §2 A). */
export function fold(sum: number): number {
  let folded = (sum & 0xffff) + (sum >>> 16);
  folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}

/** What goes into the header field. */
export function checksumOf(sum: number): number {
  return ~fold(sum) & 0xffff;
}

/** A sum that includes its own checksum field is all ones. */
export function isIntact(sum: number): boolean {
  return fold(sum) === 0xffff;
}

/**
 * The pseudo-header of TCP, UDP and ICMPv6 (RFC 9293 §3.1, RFC 8200 §8.1).
 * `addressesAt`: source and destination, side by side in both IP versions.
 */
export function pseudoHeaderSum(
  buf: Uint8Array,
  addressesAt: number,
  addressLen: number,
  protocol: number,
  length: number,
): number {
  return addWords(protocol + length, buf, addressesAt, addressesAt + 2 * addressLen);
}
