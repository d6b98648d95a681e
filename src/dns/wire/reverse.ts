import type { IpAddress } from "../../base/mod.ts";

const V4_SUFFIX = ".in-addr.arpa";
const V6_SUFFIX = ".ip6.arpa";

/**
 * The address whose reverse name `host` is (RFC 1035 §3.5, RFC 3596 §2.5), in the
 * form of `hostOf`; `undefined` for every other name, an address's part included.
 */
export function addressOfReverse(host: string): IpAddress | undefined {
  if (host.endsWith(V4_SUFFIX)) return numbers(host.slice(0, -V4_SUFFIX.length), 4, /^(0|[1-9]\d{0,2})$/, 10);
  if (!host.endsWith(V6_SUFFIX)) return undefined;
  const nibbles = numbers(host.slice(0, -V6_SUFFIX.length), 32, /^[0-9a-f]$/, 16);
  return nibbles && Uint8Array.from({ length: 16 }, (_, i) => (nibbles[2 * i]! << 4) | nibbles[2 * i + 1]!);
}

/** `count` labels as octets, the last label first. */
function numbers(text: string, count: number, form: RegExp, radix: number): Uint8Array | undefined {
  const labels = text.split(".").reverse();
  const values = labels.map((label) => (form.test(label) ? Number.parseInt(label, radix) : Number.NaN));
  return values.length === count && values.every((value) => value <= 255) ? Uint8Array.from(values) : undefined;
}
