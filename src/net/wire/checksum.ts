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
  const offset = buf.byteOffset + from;
  if (to - from >= VIEW_PAYS_FROM && LITTLE_ENDIAN && (offset & 1) === 0) {
    const begin = from + (offset & 2); // a view's words lie at multiples of their length
    const words = (to - begin) >> 2;
    const swapped = fold(sumNative(new Int32Array(buf.buffer, buf.byteOffset + begin, words)));
    // The sum is independent of byte order up to one swap at the end (RFC 1071 §2 B).
    const inOrder = (swapped >> 8) | ((swapped & 0xff) << 8);
    return addWords(addWords(sum, buf, from, begin) + inOrder, buf, begin + 4 * words, to);
  }
  let total = fold(sum);
  const even = from + ((to - from) & ~1);
  for (let at = from; at < even; at += 2) total += u16(buf, at);
  if (even < to) total += buf[even]! << 8;
  return total;
}

/** The sum of both halves of at most 16,384 words. */
function sumNative(words: Int32Array): number {
  // The halves' sums stay below 2^30. `all` wraps at 2^32, but less the high
  // halves it is the sum of the low ones again.
  let all = 0;
  let high = 0;
  const groups = words.length & ~3;
  let i = 0;
  for (; i < groups; i += 4) {
    const a = words[i]!;
    const b = words[i + 1]!;
    const c = words[i + 2]!;
    const d = words[i + 3]!;
    all = (all + a + b + c + d) | 0;
    high = (high + (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16)) | 0;
  }
  for (; i < words.length; i++) {
    all = (all + words[i]!) | 0;
    high = (high + (words[i]! >>> 16)) | 0;
  }
  return ((all - (high << 16)) >>> 0) + high;
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
