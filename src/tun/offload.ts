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
 * Agrees with the kernel on as much as both want: everything, all but USO,
 * checksums only, nothing. `accepts` tries a set; the last one tried holds.
 * USO is not in the answer: it changes what arrives and not what may be sent.
 */
export function negotiateOffload(
  accepts: (features: bigint) => boolean,
  most: Offload = { checksum: true, tso: true },
): Offload {
  const { CSUM, TSO, USO } = feature;
  if (most.tso && (accepts(CSUM | TSO | USO) || accepts(CSUM | TSO))) return { checksum: true, tso: true };
  if (most.checksum && accepts(CSUM)) return { checksum: true, tso: false };
  accepts(0n);
  return { checksum: false, tso: false };
}
