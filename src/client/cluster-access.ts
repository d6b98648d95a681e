import {
  type AppServer,
  type AppView,
  appProtocol,
  type ClusterView,
  ipv4CidrOf,
  VNET_CONFIG_NAME,
} from "../api/mod.ts";
import { CachedView, type RpcClient } from "../rpc/mod.ts";
import { AppConnections, type AppConnectionsOptions } from "./app-connections.ts";
import type { Profile } from "./profile.ts";
import { splitHostPort } from "./web.ts";

const KINDS = ["vnet_config", "app_server", "proxy"] as const;

export interface ClusterAccessOptions extends Omit<AppConnectionsOptions, "proxyAddress"> {
  readonly profile: Profile;
  /** The API of the cluster itself. Closed with the access. */
  readonly rpc: RpcClient;
  /** The name of the leaf, where it is one of the profile's cluster. */
  readonly leaf?: string | undefined;
  /** Called with the first complete view, and after changes; a burst of them is told once. */
  readonly changed: (summary: ClusterView) => void;
}

/** One cluster in use by a login: what the user sees of it, kept up to date, and connections to its apps. */
export class ClusterAccess {
  /** The first complete view has been told. Pending for ever when closed before. */
  readonly seen: Promise<void>;
  readonly view: CachedView<(typeof KINDS)[number]>;
  readonly connections: AppConnections;
  readonly #options: ClusterAccessOptions;
  #scheduled = false;
  #retired = false;

  constructor(options: ClusterAccessOptions) {
    const { profile, rpc, log } = options;
    this.#options = options;
    this.view = new CachedView(rpc, KINDS, { log });
    // An app of a leaf is reached through the root's proxies, which the session names.
    const proxies = () => this.view.list("proxy").flatMap(({ spec }) => spec.public_addrs);
    this.connections = new AppConnections({
      ...options,
      proxyAddress: profile.proxyAddress,
      ...(options.leaf === undefined && { proxies }),
    });
    const seen = Promise.withResolvers<void>();
    this.seen = seen.promise;
    this.view.ready.then(
      () => {
        this.view.onChange(() => this.#later());
        this.#tell();
        seen.resolve();
      },
      () => {},
    );
  }

  /** Looks no more and opens nothing new; open connections go on until `close`, and their sessions are renewed. */
  async retire(): Promise<void> {
    this.#retired = true;
    await this.view.close();
  }

  async close(): Promise<void> {
    this.#retired = true;
    await this.connections.close();
    await this.view.close();
    await this.#options.rpc.close();
  }

  #later(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#tell();
    });
  }

  #tell(): void {
    if (!this.#retired) this.#options.changed(this.#summary());
  }

  #summary(): ClusterView {
    const { profile, leaf } = this.#options;
    const config = this.view.get("vnet_config", VNET_CONFIG_NAME);
    const announced = this.view.list("proxy").flatMap((proxy) => proxy.spec.public_addrs);
    const empty = emptyView(profile, leaf);
    const proxyHosts = new Set([...empty.proxyHosts, ...announced.map((address) => splitHostPort(address).host)]);
    return {
      ...empty,
      proxyHosts: [...proxyHosts],
      zones: (config?.spec.custom_dns_zones ?? []).map((zone) => zone.suffix),
      ipv4Cidr: ipv4CidrOf(config),
      apps: summarizeApps(this.view.list("app_server")),
    };
  }
}

/** Before anything is known: only the way to the login's proxy is, which must not lead through VNet. */
export function emptyView({ name, cluster }: Profile, leaf?: string): ClusterView {
  const of =
    leaf === undefined ? { cluster, proxyHosts: [name] } : { cluster: leaf, leaf: true as const, proxyHosts: [] };
  return { profile: name, ...of, zones: [], ipv4Cidr: ipv4CidrOf(undefined), apps: [] };
}

/** One entry for each (name, public_addr): several agents may serve an app. */
export function summarizeApps(servers: readonly AppServer[]): AppView[] {
  const apps = new Map<string, AppView>();
  for (const { spec } of servers) {
    const { app } = spec;
    const summary: AppView = {
      name: app.metadata.name,
      publicAddr: app.spec.public_addr ?? "",
      protocol: appProtocol(app),
      tcpPorts: (app.spec.tcp_ports ?? []).map((range) => ({
        port: range.port,
        ...(range.end_port ? { endPort: range.end_port } : {}),
      })),
    };
    apps.set(`${summary.name}\0${summary.publicAddr}`, summary);
  }
  return [...apps.values()].sort((a, b) => a.name.localeCompare(b.name));
}
