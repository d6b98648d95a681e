import {
  type Cidr,
  cidrContains,
  formatCidr,
  formatIp,
  type IpAddress,
  isMalformed,
  parseCidr,
  parseIp,
} from "../base/mod.ts";
import {
  MAX_DNS_SERVERS,
  MAX_IPV4_RANGES,
  MAX_IPV6_RANGES,
  MAX_MTU,
  MAX_PROXIES,
  MAX_ZONES,
  MIN_IPV4_PREFIX_LEN,
  MIN_MTU,
} from "./limits.ts";
import type { WantedState } from "./state.ts";

/** An IPv4 range that somebody else has on this host, and who: a device, a table, a rule. */
export interface TakenRange {
  readonly range: string;
  readonly by: string;
}

/** What must keep working on this host whatever is wanted; our own device and table left out. */
export interface HostFacts {
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
  readonly resolvers: readonly string[];
  /** The kernel has IPv6 and it is not switched off. */
  readonly ipv6: boolean;
  /** What VNet had better not use; whoever takes it all the same cuts nothing off. */
  readonly taken: readonly TakenRange[];
}

/**
 * Why root does not carry this state out, or `undefined` when it does.
 *
 * The sender is unprivileged. All that it may gain is addresses which nobody
 * routes on the Internet; it may not cut the host off from its network, its
 * resolvers or the proxies. `allowedRange` is root's own word: any range within
 * it is as good as a private one.
 */
export function refusal(state: WantedState, facts: HostFacts, allowedRange?: string): string | undefined {
  return (
    refusedRanges(state.ranges, allowedRange === undefined ? [] : [cidr(allowedRange)]) ??
    refusedAddresses(state) ??
    refusedZones(state.zones) ??
    refusedMtu(state.mtu) ??
    conflict(state, facts)
  );
}

const cidr = (text: string): Cidr => {
  const parsed = parseCidr(text);
  if (isMalformed(parsed)) throw new RangeError(text);
  return parsed;
};

/** RFC 6598, RFC 1918 and RFC 2544. */
const ALLOWED_IPV4 = ["100.64.0.0/10", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15"].map(cidr);
/** Unique local addresses with a locally chosen prefix (RFC 4193 §3.1). */
const ALLOWED_IPV6 = cidr("fd00::/8");

function refusedRanges(ranges: readonly string[], allowed: readonly Cidr[]): string | undefined {
  let ipv4 = 0;
  let ipv6 = 0;
  for (const text of ranges) {
    const range = parseCidr(text);
    if (isMalformed(range)) return `${quoted(text)} is not an address range`;
    if (formatCidr(range) !== text) return `${quoted(text)} should be written ${formatCidr(range)}`;
    if (range.base.length === 4) {
      ipv4++;
      const isAllowed = [...ALLOWED_IPV4, ...allowed].some(
        (outer) => outer.prefixLen <= range.prefixLen && cidrContains(outer, range.base),
      );
      if (!isAllowed || range.prefixLen < MIN_IPV4_PREFIX_LEN) return `the range ${text} is not a private one`;
    } else {
      ipv6++;
      if (range.prefixLen !== 64 || !cidrContains(ALLOWED_IPV6, range.base)) {
        return `the range ${text} is not a /64 of unique local addresses`;
      }
    }
  }
  if (ipv4 > MAX_IPV4_RANGES) return `${ipv4} IPv4 ranges are more than ${MAX_IPV4_RANGES}`;
  if (ipv6 > MAX_IPV6_RANGES) return `${ipv6} IPv6 ranges are more than ${MAX_IPV6_RANGES}`;
  return undefined;
}

function refusedAddresses(state: WantedState): string | undefined {
  const ranges = state.ranges.map(cidr);
  const within = (address: IpAddress) => ranges.some((range) => cidrContains(range, address));
  const families = new Set<number>();
  for (const text of state.addresses) {
    const [host = "", prefixLen] = text.split("/");
    const address = parseIp(host);
    if (isMalformed(address)) return `${quoted(text)} is not an address`;
    if (prefixLen !== (address.length === 4 ? "32" : "64")) return `${text} should be a /32, or a /64 for IPv6`;
    if (!within(address)) return `the address ${text} is in none of the ranges`;
    if (families.has(address.length)) return "the device has one address of each family";
    families.add(address.length);
  }
  if (state.dns.length > MAX_DNS_SERVERS) return `more than ${MAX_DNS_SERVERS} DNS addresses`;
  for (const text of state.dns) {
    const address = parseIp(text);
    if (isMalformed(address) || formatIp(address) !== text) return `${quoted(text)} is not an address`;
    if (!within(address)) return `the DNS address ${text} is in none of the ranges`;
    if (state.addresses.some((own) => own.split("/")[0] === text)) return `${text} is the device's own address`;
  }
  return undefined;
}

const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

function refusedZones(zones: readonly string[]): string | undefined {
  if (zones.length > MAX_ZONES) return `${zones.length} DNS zones are more than ${MAX_ZONES}`;
  for (const zone of zones) {
    const labels = zone.split(".");
    if (zone.length > 253 || !labels.every((label) => LABEL.test(label))) return `${quoted(zone)} is not a DNS zone`;
    // A top-level domain, and reverse zones, would be everybody's names.
    if (labels.length < 2 || labels.at(-1) === "arpa") return `the DNS zone ${zone} is too wide`;
  }
  return undefined;
}

function refusedMtu(mtu: number): string | undefined {
  return mtu >= MIN_MTU && mtu <= MAX_MTU ? undefined : `the MTU ${mtu} is not within ${MIN_MTU} and ${MAX_MTU}`;
}

function conflict(state: WantedState, facts: HostFacts): string | undefined {
  if (state.proxies.length > MAX_PROXIES) return `more than ${MAX_PROXIES} proxy addresses`;
  const kept: [what: string, addresses: readonly string[]][] = [
    ["an address of this host", facts.addresses],
    ["a gateway", facts.gateways],
    ["a name server", facts.resolvers],
    ["a proxy", state.proxies],
  ];
  for (const text of state.ranges) {
    const range = cidr(text);
    for (const [what, addresses] of kept) {
      const inside = addresses.find((address) => holds(range, address));
      if (inside !== undefined) {
        return `the range ${text} contains ${what}, ${inside}; choose another one (--ipv4-cidr, or "ipv4_cidr_range" of vnet_config)`;
      }
    }
  }
  return undefined;
}

function holds(range: Cidr, text: string): boolean {
  const address = parseIp(text);
  return !isMalformed(address) && cidrContains(range, address);
}

/** What others wrote is shown without control characters. */
function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
