import {
  type AppServer,
  type AppView,
  appProtocol,
  type ClusterView,
  ipv4CidrOf,
  VNET_CONFIG_NAME,
} from "../api/mod.ts";
import type { Logger } from "../base/mod.ts";
import { CachedView, type RpcClient } from "../rpc/mod.ts";
import { AppConnections } from "./app-connections.ts";
import { connectCluster } from "./cluster.ts";
import type { Profile } from "./profile.ts";
import { splitHostPort } from "./web.ts";

type Kinds = "vnet_config" | "app_server" | "proxy";

/** One login in use: what it sees of its cluster, kept up to date, and connections to the apps there. */
export class ClusterAccess {
  /** The first complete view has been told. Pending for ever when closed before. */
  readonly seen: Promise<void>;
  readonly view: CachedView<Kinds>;
  readonly connections: AppConnections;
  readonly #profile: Profile;
  readonly #rpc: RpcClient;
  readonly #changed: (summary: ClusterView) => void;
  #scheduled = false;
  #retired = false;

  /** `changed` is called with the first complete view, and after changes; a burst of them is told once. */
  constructor(profile: Profile, log: Logger, changed: (summary: ClusterView) => void) {
    this.#profile = profile;
    this.#changed = changed;
    this.#rpc = connectCluster(profile, log);
    this.view = new CachedView(this.#rpc, ["vnet_config", "app_server", "proxy"], { log });
    this.connections = new AppConnections({ rpc: this.#rpc, proxyAddress: profile.proxyAddress, log });
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

  /** Looks no more and opens nothing new; open connections go on until `close`. */
  async retire(): Promise<void> {
    this.#retired = true;
    await this.view.close();
    await this.#rpc.close();
  }

  async close(): Promise<void> {
    this.#retired = true;
    await this.connections.close();
    await this.view.close();
    await this.#rpc.close();
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
    if (!this.#retired) this.#changed(summarize(this.#profile, this.view));
  }
}

/** Before anything is known: only the way to the proxy is, which must not lead through VNet. */
export function emptyView(profile: Profile): ClusterView {
  const { name, cluster } = profile;
  return { profile: name, cluster, proxyHosts: [name], zones: [], ipv4Cidr: ipv4CidrOf(undefined), apps: [] };
}

function summarize(profile: Profile, view: CachedView<Kinds>): ClusterView {
  const config = view.get("vnet_config", VNET_CONFIG_NAME);
  const announced = view.list("proxy").flatMap((proxy) => proxy.spec.public_addrs);
  const proxyHosts = new Set([profile.name, ...announced.map((address) => splitHostPort(address).host)]);
  return {
    ...emptyView(profile),
    proxyHosts: [...proxyHosts],
    zones: (config?.spec.custom_dns_zones ?? []).map((zone) => zone.suffix),
    ipv4Cidr: ipv4CidrOf(config),
    apps: summarizeApps(view.list("app_server")),
  };
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
