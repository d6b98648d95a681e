import type { ByteStream } from "../base/mod.ts";

/** One app of a cluster, as far as VNet needs to know it. */
export interface AppView {
  readonly name: string;
  /** A host name, perhaps in mixed case or with a final dot. Never a port. */
  readonly publicAddr: string;
  readonly protocol: "tcp" | "http";
  /** The ports that the app offers; empty: any port reaches its one target. `endPort` is inclusive. */
  readonly tcpPorts: readonly { readonly port: number; readonly endPort?: number }[];
}

export interface ClusterView {
  /** The root proxy's host: the name of the saved login. */
  readonly profile: string;
  readonly cluster: string;
  /** Public hosts of the cluster's proxies. Never captured; each is also an app zone. */
  readonly proxyHosts: readonly string[];
  /** Custom DNS zones of `vnet_config`. */
  readonly zones: readonly string[];
  readonly ipv4Cidr: string;
  readonly apps: readonly AppView[];
}

/** What VNet knows of the clusters, and its one way to reach an app. */
export interface Directory {
  /** Usable clusters in the order of the search; one whose login has expired is absent. */
  clusters(): readonly ClusterView[];
  /** Calls `listener` after each change of what `clusters` returns. Returns the end of that. */
  onChange(listener: () => void): () => void;
  /**
   * Opens a connection to an app. Resolves only when the app's own server has
   * accepted; rejects with an OperationError whose message a person understands.
   */
  dial(cluster: ClusterView, app: AppView, port: number, signal: AbortSignal): Promise<ByteStream>;
}
