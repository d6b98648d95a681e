import { type Random, toHex } from "../base/mod.ts";

const PREFIX = "vnet-diag-";
const PROBE = /^vnet-diag-[0-9a-f]{16}\./;
const RANDOM_LEN = 8; // octets, written as 16 digits

/**
 * A name that nobody has, below `zone`. VNet answers it with its DNS server's own
 * address, so that whoever asks sees whether the question came to VNet. (The
 * prefix is Teleport's.)
 */
export function newProbe(zone: string, random: Random): string {
  return `${PREFIX}${toHex(random(RANDOM_LEN))}.${zone}`;
}

/** Is the normalized host name such a one? */
export function isProbe(host: string): boolean {
  return host.startsWith(PREFIX) && PROBE.test(host);
}
