import type { Proxy as ProxyResource } from "../api/mod.ts";
import type { AgentTunnel } from "../tunnel/mod.ts";
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

/** Control connections to a changing set of proxies. */
export class ProxyConnections {
  readonly #connect: (proxyAddress: string) => AgentTunnel;
  readonly #tunnels = new Map<string, AgentTunnel>();
  #closed = false;

  constructor(connect: (proxyAddress: string) => AgentTunnel) {
    this.#connect = connect;
  }

  /** Connects to what is new and leaves what is gone. */
  set(addresses: readonly string[]): void {
    if (this.#closed) return;
    for (const [address, tunnel] of this.#tunnels) {
      if (addresses.includes(address)) continue;
      this.#tunnels.delete(address);
      void tunnel.close();
    }
    for (const address of addresses) {
      if (!this.#tunnels.has(address)) this.#tunnels.set(address, this.#connect(address));
    }
  }

  /** The agent's credentials have changed. */
  renew(): void {
    for (const tunnel of this.#tunnels.values()) tunnel.renew();
  }

  get connected(): number {
    return [...this.#tunnels.values()].filter((tunnel) => tunnel.connected).length;
  }

  /** All of the present proxies have been connected to at least once. */
  async ready(): Promise<void> {
    await Promise.all([...this.#tunnels.values()].map((tunnel) => tunnel.ready));
  }

  drain(): void {
    this.#closed = true;
    for (const tunnel of this.#tunnels.values()) tunnel.drain();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#tunnels.values()].map((tunnel) => tunnel.close()));
    this.#tunnels.clear();
  }
}
