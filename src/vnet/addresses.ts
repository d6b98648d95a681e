import {
  assert,
  type Cidr,
  cidrContains,
  formatCidr,
  formatIp,
  type IpAddress,
  isMalformed,
  parseCidr,
  type Random,
} from "../base/mod.ts";
import type { ClusterView } from "./directory.ts";
import { MAX_IPV4_PREFIX_LEN } from "./limits.ts";

/** The range of a cluster that names none (Teleport's default, shared address space of RFC 6598). */
export const DEFAULT_IPV4_CIDR = "100.64.0.0/10";

/** What the host side configures. Text without a prefix length, except for `ranges`. */
export interface VnetAddresses {
  readonly tunV4: string;
  readonly dnsV4: string;
  readonly tunV6: string;
  readonly dnsV6: string;
  /** CIDRs to route to the TUN: those of the clusters, then VNet's own IPv6 /64. */
  readonly ranges: readonly string[];
}

/**
 * Addresses for one run: IPv4 from the first usable range, IPv6 from the /64 of
 * `v6`, an address of earlier runs, else from a random unique local one (RFC 4193
 * §3.2.2; subnet 0). They stay as they are while VNet runs; `ranges` follows the
 * clusters (`rangesOf`).
 */
export function planAddresses(clusters: readonly ClusterView[], random: Random, v6?: string): VnetAddresses {
  const prefix = v6 === undefined ? randomPrefix(random) : prefixOf(v6);
  const base = usableRanges(clusters)[0]!.base;
  return {
    tunV4: formatIp(addTo(base, 1)),
    dnsV4: formatIp(addTo(base, 2)),
    tunV6: formatIp(addTo(prefix, 1)),
    dnsV6: formatIp(addTo(prefix, 2)),
    ranges: rangesOf(clusters, formatIp(prefix)),
  };
}

/**
 * What `VnetAddresses.ranges` becomes when the clusters have changed. `v6` is any
 * address of the /64. The ranges `before` stay: names keep their addresses while
 * VNet runs, and so do the TUN and the DNS server.
 */
export function rangesOf(clusters: readonly ClusterView[], v6: string, before: readonly string[] = []): string[] {
  const prefix = { base: prefixOf(v6), prefixLen: 64 };
  return [...usableRanges(clusters, before), prefix].map(formatCidr);
}

/**
 * The clusters' distinct ranges and those `before`, less any inside another; the
 * default where there is none.
 */
export function usableRanges(clusters: readonly ClusterView[], before: readonly string[] = []): Cidr[] {
  const distinct = new Map<string, Cidr>();
  for (const text of [...before, ...clusters.map((cluster) => cluster.ipv4Cidr)]) {
    const range = parseRange(text);
    if (range) distinct.set(formatCidr(range), range);
  }
  if (distinct.size === 0) distinct.set(DEFAULT_IPV4_CIDR, parseRange(DEFAULT_IPV4_CIDR)!);
  const all = [...distinct.values()];
  return all.filter(
    (range) =>
      !all.some((other) => other !== range && cidrContains(other, range.base) && other.prefixLen < range.prefixLen),
  );
}

/** `undefined` where the text is no IPv4 range that VNet can use. */
export function parseRange(text: string): Cidr | undefined {
  const range = parseCidr(text);
  if (isMalformed(range) || range.base.length !== 4 || range.prefixLen > MAX_IPV4_PREFIX_LEN) return undefined;
  return range;
}

function randomPrefix(random: Random): IpAddress {
  const prefix = new Uint8Array(16);
  prefix[0] = 0xfd;
  prefix.set(random(5), 1);
  return prefix;
}

function prefixOf(v6: string): IpAddress {
  const cidr = parseCidr(`${v6}/64`);
  assert(!isMalformed(cidr), `VNet's own IPv6 prefix ${v6}`);
  return cidr.base;
}

/** `base` plus a small number that fits its last octet's zeros. */
function addTo(base: IpAddress, offset: number): IpAddress {
  const address = base.slice();
  address[address.length - 1]! += offset;
  return address;
}
