import type { Socket } from "node:net";
import type { TrustedCluster } from "../api/mod.ts";
import { type Clock, type Counters, type Logger, systemRandom } from "../base/mod.ts";
import { authorityCerts } from "../rpc/mod.ts";
import { AgentTunnel, type HostCredentials, ProxyConnections, type ProxyTunnel, type Route } from "../tunnel/mod.ts";
import { TRUST_FAREWELL_MS, UNKNOWN_SESSION_WAIT_MS } from "./limits.ts";
import type { AuthRelay } from "./relay-to-auth.ts";
import type { ProxyView, Routes } from "./routes.ts";

export interface RootTunnelsOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly counters: Counters;
  readonly view: Pick<ProxyView, "get" | "list" | "onChange">;
  /** This proxy's own certificate. */
  credentials(): HostCredentials;
  readonly routes: Pick<Routes, "isOfRoot">;
  readonly tunnel: Pick<ProxyTunnel, "forward">;
  readonly api: Pick<AuthRelay, "handle">;
}

/**
 * A leaf's proxy at the proxies of its roots: connected there as an agent is to
 * its own, so that nothing needs to be open from the root to the leaf. What is
 * relayed stays encrypted for the agent, or for Auth. Only sessions that this
 * very root has issued for apps of this cluster pass.
 */
export class RootTunnels {
  readonly #options: RootTunnelsOptions;
  readonly #instance = systemRandom(8);
  /** By the root's name. */
  readonly #roots = new Map<string, ProxyConnections>();
  /** Of trusts that have just ended, until their links' agents have said so. */
  readonly #leaving = new Set<ProxyConnections>();
  readonly #unsubscribe: () => void;

  constructor(options: RootTunnelsOptions) {
    this.#options = options;
    this.#unsubscribe = options.view.onChange((change) => {
      if (change.kind === "trusted_cluster" || change.kind === "cert_authority") this.#follow();
    });
    this.#follow();
  }

  /** This proxy's certificate has changed. */
  renew(): void {
    for (const connections of this.#roots.values()) connections.renew();
  }

  drain(): void {
    for (const connections of this.#roots.values()) connections.drain();
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    await Promise.all([...this.#roots.values(), ...this.#leaving].map((connections) => connections.close()));
  }

  /** A client that `root` has sent here: it goes on if the session is one that this very root has issued. */
  async route(root: string, socket: Socket, route: Route): Promise<void> {
    const { routes, tunnel, counters, credentials } = this.#options;
    const { cluster } = credentials();
    const signal = AbortSignal.timeout(UNKNOWN_SESSION_WAIT_MS);
    const allowed = await routes.isOfRoot(route.sessionId, root, signal).catch(() => false);
    if (allowed) return tunnel.forward(socket, route, cluster);
    counters.count("root.unknown-session");
    socket.destroy();
  }

  #follow(): void {
    const trusts = this.#options.view.list("trusted_cluster").filter((trust) => this.#isReady(trust));
    for (const [root, connections] of this.#roots) {
      if (trusts.some(({ metadata }) => metadata.name === root)) continue;
      this.#roots.delete(root);
      this.#leave(connections);
    }
    for (const trust of trusts) this.#connectionsTo(trust.metadata.name).set(addressesOf(trust));
  }

  /** A carrier that is merely cut is looked for; one whose agent has said why is not. */
  #leave(connections: ProxyConnections): void {
    this.#leaving.add(connections);
    connections.drain();
    this.#options.clock.after(TRUST_FAREWELL_MS, () => {
      this.#leaving.delete(connections);
      void connections.close();
    });
  }

  /** Its authority is taken away with the trust. */
  #isReady({ metadata, spec }: TrustedCluster): boolean {
    return spec.enabled !== false && this.#authority(metadata.name).length > 0;
  }

  #authority(root: string): readonly string[] {
    return authorityCerts(this.#options.view.list("cert_authority"), { type: "host", cluster: root, known: [] });
  }

  #connectionsTo(root: string): ProxyConnections {
    const known = this.#roots.get(root);
    if (known !== undefined) return known;
    const { clock, counters, log, api, credentials } = this.#options;
    const connections = new ProxyConnections(
      (proxyAddress) =>
        new AgentTunnel({
          clock,
          counters,
          log,
          proxyAddress,
          instance: this.#instance,
          credentials: () => ({ ...credentials(), cluster: root, hostCas: this.#authority(root) }),
          onRoute: (socket, route) => void this.route(root, socket, route),
          onApi: (socket, { clientAddress }) => api.handle(socket, `${clientAddress}:0`),
          onState: (state, detail) => log.info({ root, proxyAddress, detail }, `${state}: a root cluster's proxy`),
        }),
    );
    this.#roots.set(root, connections);
    return connections;
  }
}

/** Every proxy of the root that has an address of its own; a lone one is where the configuration says. */
function addressesOf({ spec, status }: TrustedCluster): string[] {
  const announced = status?.tunnel_addrs ?? [];
  return announced.length > 0 ? announced : [spec.tunnel_addr ?? spec.web_proxy_addr];
}
