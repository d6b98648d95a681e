import { formatCidr, isMalformed, parseCidr } from "../base/mod.ts";
import { MAX_TAKEN, MIN_IPV4_PREFIX_LEN } from "./limits.ts";
import type { HostFacts, TakenRange } from "./policy.ts";
import { TABLE } from "./table.ts";

interface IpAddressEntry {
  ifname?: string;
  addr_info?: { local?: string }[];
}

interface IpRouteEntry {
  dst?: string;
  dev?: string;
  table?: string | number;
  gateway?: string;
  via?: { host?: string };
  nexthops?: { dev?: string; gateway?: string; via?: { host?: string } }[];
}

interface IpRuleEntry {
  priority?: number;
  dst?: string;
  dstlen?: number;
  protocol?: string | number;
}

/** What `ip -json` says of this host. */
export interface IpOutput {
  /** Of `ip -json address`. */
  readonly addresses: string;
  /** Of `ip -json route show table all`, for each family. */
  readonly routes: readonly string[];
  /** Of `ip -json -4 rule`. */
  readonly rules: string;
  readonly resolvers: readonly string[];
  readonly ipv6: boolean;
}

/** Our own device, table and rules are left out. */
export function hostFacts(device: string, output: IpOutput): HostFacts {
  const entries = parseList<IpAddressEntry>(output.addresses).filter((entry) => entry.ifname !== device);
  const routes = output.routes
    .flatMap((text) => parseList<IpRouteEntry>(text))
    .filter((route) => route.dev !== device && String(route.table) !== TABLE.id);
  return {
    addresses: entries.flatMap((entry) => entry.addr_info ?? []).flatMap((info) => info.local ?? []),
    gateways: routes
      .flatMap((route) => [route, ...(route.nexthops ?? [])])
      .flatMap((hop) => hop.gateway ?? hop.via?.host ?? []),
    resolvers: output.resolvers,
    ipv6: output.ipv6,
    taken: [...routes.flatMap(takenByRoute), ...parseList<IpRuleEntry>(output.rules).flatMap(takenByRule)].slice(
      0,
      MAX_TAKEN,
    ),
  };
}

/** Every table counts: VPNs keep theirs out of main (Tailscale in 52). */
function takenByRoute(route: IpRouteEntry): TakenRange[] {
  const dev = route.dev ?? route.nexthops?.[0]?.dev;
  const usual = ["main", "local", "undefined"].includes(String(route.table));
  const table = usual ? "" : ` (table ${route.table})`;
  return taken(route.dst, `${dev ?? "a route"}${table}`);
}

function takenByRule({ dst, dstlen, priority, protocol }: IpRuleEntry): TakenRange[] {
  if (String(protocol) === TABLE.protocol || dst === undefined || dst === "all") return [];
  return taken(dstlen === undefined ? dst : `${dst}/${dstlen}`, `the routing rule ${priority}`);
}

/** Shorter prefixes are ways to the Internet, cut in pieces as some VPNs do it, and no claim to what lies in them. */
function taken(destination: string | undefined, by: string): TakenRange[] {
  if (destination === undefined) return [];
  const range = parseCidr(destination.includes("/") ? destination : `${destination}/32`);
  if (isMalformed(range) || range.base.length !== 4 || range.prefixLen < MIN_IPV4_PREFIX_LEN) return [];
  return [{ range: formatCidr(range), by }];
}

/** `ip` prints nothing at all where a family is switched off. */
export function parseList<T>(json: string): T[] {
  return json.trim() === "" ? [] : (JSON.parse(json) as T[]);
}
