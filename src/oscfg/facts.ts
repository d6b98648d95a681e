import type { HostFacts } from "./policy.ts";
import { TABLE } from "./table.ts";

interface IpAddressEntry {
  ifname?: string;
  addr_info?: { local?: string }[];
}

interface IpRouteEntry {
  dev?: string;
  table?: string | number;
  gateway?: string;
  via?: { host?: string };
  nexthops?: { gateway?: string; via?: { host?: string } }[];
}

/** Reads `ip -json address` and `ip -json route show table all` (of both families), our own entries left out. */
export function hostFacts(
  device: string,
  output: { addresses: string; routes: string; resolvers: readonly string[]; ipv6: boolean },
): HostFacts {
  const entries = parseList<IpAddressEntry>(output.addresses);
  const routes = parseList<IpRouteEntry>(output.routes);
  return {
    addresses: entries
      .filter((entry) => entry.ifname !== device)
      .flatMap((entry) => entry.addr_info ?? [])
      .flatMap((info) => info.local ?? []),
    gateways: routes
      .filter((route) => route.dev !== device && String(route.table) !== TABLE.id)
      .flatMap((route) => [route, ...(route.nexthops ?? [])])
      .flatMap((hop) => hop.gateway ?? hop.via?.host ?? []),
    resolvers: output.resolvers,
    ipv6: output.ipv6,
  };
}

/** `ip` prints nothing at all where a family is switched off. */
function parseList<T>(json: string): T[] {
  return json.trim() === "" ? [] : (JSON.parse(json) as T[]);
}
