import type { Proxy as ProxyResource } from "../api/mod.ts";
import { MAX_PROXIES } from "./limits.ts";

/**
 * Where this agent keeps control connections: at every proxy's own address for
 * agents. A lone proxy without a separate one is reached where the agent's
 * configuration says, which may be nearer than its public name.
 */
export function tunnelAddresses(proxies: readonly ProxyResource[], configured: string): string[] {
  const [only] = proxies;
  if (only === undefined) return [configured];
  const { public_addrs, tunnel_public_addr } = only.spec;
  if (proxies.length === 1 && (tunnel_public_addr === "" || public_addrs.includes(tunnel_public_addr)))
    return [configured];
  const addresses = proxies.map(({ spec }) => spec.tunnel_public_addr || (spec.public_addrs[0] ?? ""));
  return [...new Set(addresses)]
    .filter((address) => address !== "")
    .sort()
    .slice(0, MAX_PROXIES);
}
