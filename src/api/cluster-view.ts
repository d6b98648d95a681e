/** One app of a cluster, as far as VNet and a person choosing one need to know it. */
export interface AppView {
  readonly name: string;
  /** A host name, perhaps in mixed case or with a final dot. Never a port. */
  readonly publicAddr: string;
  readonly protocol: "tcp" | "http";
  /** The ports that the app offers; empty: any port reaches its one target. `endPort` is inclusive. */
  readonly tcpPorts: readonly { readonly port: number; readonly endPort?: number }[];
}

/** What a user sees of one cluster. */
export interface ClusterView {
  /** The root proxy's host: the name of the saved login. */
  readonly profile: string;
  readonly cluster: string;
  /** The login is to another cluster, of which this one is a leaf. */
  readonly leaf?: true;
  /** Public hosts of the cluster's proxies. Never captured; each is also an app zone. */
  readonly proxyHosts: readonly string[];
  /** Custom DNS zones of `vnet_config`. */
  readonly zones: readonly string[];
  readonly ipv4Cidr: string;
  readonly apps: readonly AppView[];
  /** The login has expired: this is how the cluster was last seen. */
  readonly loginExpired?: true;
}
