import { isMalformed, parseCidr } from "../base/mod.ts";

/** The zones that hold exactly the reverse names of `range`, a CIDR (RFC 1035 §3.5, RFC 3596 §2.5). */
export function reverseZones(range: string): string[] {
  const cidr = parseCidr(range);
  if (isMalformed(cidr)) return [];
  const { base, prefixLen } = cidr;
  const [bits, suffix] = base.length === 4 ? ([8, "in-addr.arpa"] as const) : ([4, "ip6.arpa"] as const);
  const digits = [...base].flatMap((octet) => (bits === 8 ? [octet] : [octet >> 4, octet & 15]));
  const len = Math.max(1, Math.ceil(prefixLen / bits)); // labels
  const count = 2 ** (len * bits - prefixLen);
  return Array.from({ length: count }, (_, i) => {
    const labels = digits.slice(0, len);
    labels[len - 1]! += i;
    return [...labels.toReversed().map((label) => label.toString(bits === 8 ? 10 : 16)), suffix].join(".");
  });
}
