import type { CallContext } from "../rpc/mod.ts";
import { MAX_PROXY_ADDRESSES } from "./limits.ts";

/**
 * Where proxies connect from, learnt from their own watches. What they relay
 * comes from the same addresses, and is told apart by its connection only.
 */
export class ProxyAddresses {
  readonly #known = new Set<string>();

  note({ caller, remote }: CallContext): void {
    if (caller.kind !== "host" || !caller.roles.includes("Proxy")) return;
    this.#known.add(hostOf(remote));
    if (this.#known.size > MAX_PROXY_ADDRESSES) this.#known.delete(this.#known.values().next().value ?? "");
  }

  /** Whom a call is from, as far as can be known here: an address, or a connection of a proxy's. */
  whoIs(remote: string): string {
    const host = hostOf(remote);
    return this.#known.has(host) ? remote : host;
  }
}

function hostOf(remote: string): string {
  return remote.replace(/:\d+$/, "");
}
