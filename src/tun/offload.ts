import type { Offload } from "./device.ts";

/** Bits of TUNSETOFFLOAD (linux/if_tun.h): what frames towards us may leave undone. */
export const feature = {
  CSUM: 1n,
  /** TCP super-segments, IPv4 and IPv6. */
  TSO: 6n,
  /** Super-segments of UDP datagrams, both versions; Linux 6.2. */
  USO: 0x60n,
} as const;

/**
 * The first kernel that takes a TCP super-segment of any length from a TUN:
 * 6.3 knows a total length of 0 (iph_totlen), 6.6 finds memory for it.
 */
const BIG_TCP_SINCE = [6, 6] as const;

/**
 * Agrees with the kernel on as much as both want: everything, all but USO,
 * checksums only, nothing. `accepts` tries a set; the last one tried holds.
 * USO is not in the answer: it changes what arrives and not what may be sent.
 * `release`: of the kernel, as `uname` tells it.
 */
export function negotiateOffload(
  accepts: (features: bigint) => boolean,
  release: string,
  most: Offload = { checksum: true, tso: true, bigTcp: true },
): Offload {
  const { CSUM, TSO, USO } = feature;
  if (most.tso && (accepts(CSUM | TSO | USO) || accepts(CSUM | TSO))) {
    return { checksum: true, tso: true, bigTcp: most.bigTcp && takesBigTcp(release) };
  }
  if (most.checksum && accepts(CSUM)) return { checksum: true, tso: false, bigTcp: false };
  accepts(0n);
  return { checksum: false, tso: false, bigTcp: false };
}

function takesBigTcp(release: string): boolean {
  const [major = 0, minor = 0] = release.split(".").map((part) => Number.parseInt(part, 10));
  return major > BIG_TCP_SINCE[0] || (major === BIG_TCP_SINCE[0] && minor >= BIG_TCP_SINCE[1]);
}
