import {
  type AppServer,
  type AppView,
  appProtocol,
  type ClusterView,
  ipv4CidrOf,
  VNET_CONFIG_NAME,
} from "../api/mod.ts";
import { type ByteStream, type Logger, messageOf, sleep } from "../base/mod.ts";
import { CachedView, type RpcClient } from "../rpc/mod.ts";
import { AppConnections } from "./app-connections.ts";
import { connectCluster, isExpired } from "./cluster.ts";
import { AppNotFoundError } from "./errors.ts";
import type { Profile } from "./profile.ts";
import { splitHostPort } from "./web.ts";

/** How long VNet's start waits for the first look at each cluster; a slow one follows later. */
const FIRST_VIEW_MS = 5_000;

type Kinds = "vnet_config" | "app_server" | "proxy";

/** What the user may reach in the clusters they are logged in to, kept up to date, and the way there. */
export class ClusterDirectory implements AsyncDisposable {
  readonly #clusters: ClusterAccess[];
  readonly #listeners = new Set<() => void>();

  constructor(profiles: readonly Profile[], log: Logger) {
    this.#clusters = profiles
      .filter((profile) => !isExpired(profile))
      .map((profile) => new ClusterAccess(profile, log, () => this.#changed()));
  }

  /** Resolves when every cluster has been seen once, or has had its time. */
  async ready(): Promise<void> {
    const seen = Promise.all(this.#clusters.map((cluster) => cluster.view.ready));
    await Promise.race([seen, sleep(FIRST_VIEW_MS)]);
  }

  /** Clusters whose first look failed, with the reason. */
  unreachable(): { profile: string; reason: string }[] {
    return this.#clusters
      .filter((cluster) => cluster.view.staleSince !== undefined)
      .map(({ profile, view }) => ({
        profile: profile.name,
        reason: messageOf(view.lastError ?? "no answer yet"),
      }));
  }

  clusters(): readonly ClusterView[] {
    return this.#clusters.map((cluster) => cluster.summary);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  dial(cluster: ClusterView, app: AppView, port: number, signal: AbortSignal): Promise<ByteStream> {
    const access = this.#clusters.find(
      ({ profile }) => profile.name === cluster.profile && profile.cluster === cluster.cluster,
    );
    if (access === undefined) throw new AppNotFoundError(`not logged in to the cluster ${cluster.cluster} any more`);
    return access.connections.dial(app.name, port, signal);
  }

  async close(): Promise<void> {
    await Promise.all(this.#clusters.map((cluster) => cluster.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

class ClusterAccess {
  readonly profile: Profile;
  readonly view: CachedView<Kinds>;
  readonly connections: AppConnections;
  readonly #rpc: RpcClient;
  summary: ClusterView;
  #told: string;
  #scheduled = false;

  constructor(profile: Profile, log: Logger, changed: () => void) {
    this.profile = profile;
    this.#rpc = connectCluster(profile, log);
    this.view = new CachedView(this.#rpc, ["vnet_config", "app_server", "proxy"], { log });
    this.connections = new AppConnections({ rpc: this.#rpc, proxyAddress: profile.proxyAddress, log });
    this.summary = summarize(profile, this.view);
    this.#told = JSON.stringify(this.summary);
    this.view.onChange(() => this.#later(changed));
    this.view.ready.then(
      () => this.#later(changed),
      () => {},
    );
  }

  async close(): Promise<void> {
    await this.connections.close();
    await this.view.close();
    await this.#rpc.close();
  }

  /** A burst of changes is told once; a heartbeat that changes nothing is not told. */
  #later(changed: () => void): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const next = summarize(this.profile, this.view);
      const text = JSON.stringify(next);
      if (text === this.#told) return;
      this.#told = text;
      this.summary = next;
      changed();
    });
  }
}

function summarize(profile: Profile, view: CachedView<Kinds>): ClusterView {
  const config = view.get("vnet_config", VNET_CONFIG_NAME);
  const announced = view.list("proxy").flatMap((proxy) => proxy.spec.public_addrs);
  const proxyHosts = new Set([profile.name, ...announced.map((address) => splitHostPort(address).host)]);
  return {
    profile: profile.name,
    cluster: profile.cluster,
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
