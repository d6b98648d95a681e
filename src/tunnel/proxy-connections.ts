import type { AgentTunnel } from "./agent-tunnel.ts";

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
    for (const tunnel of this.#tunnels.values()) void tunnel.renew();
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
