import type { AppView, ClusterView } from "./directory.ts";

/** Where a name leads. */
export interface Target {
  /** The name itself, normalized. */
  readonly host: string;
  readonly cluster: ClusterView;
  readonly app: AppView;
}

/** Finds a normalized host name's app; `undefined`: the name is not VNet's. */
export type NameTable = (host: string) => Target | undefined;

/**
 * The names that VNet serves. A TCP app is served at its public address when this
 * is a zone of its cluster or lies below one, at any depth: a custom zone, or the
 * host of one of its proxies; or one label below its profile, where a root offers
 * its leaves' apps.
 *
 * Never served: a proxy's own host (the way to the cluster must not lead through
 * it), and what a web app has: that resolves to the real proxy.
 * The first cluster with an app at a name has it; within a cluster TCP goes first.
 */
export function tableOf(clusters: readonly ClusterView[]): NameTable {
  const proxyHosts = new Set(
    clusters.flatMap((cluster) => [cluster.profile, ...cluster.proxyHosts]).map(normalizeHost),
  );
  const found = new Map<string, Target>();
  for (const cluster of clusters) {
    for (const app of tcpFirst(cluster.apps)) {
      const host = normalizeHost(app.publicAddr);
      if (found.has(host) || proxyHosts.has(host) || zoneFor(cluster, host) === undefined) continue;
      found.set(host, { host, cluster, app });
    }
  }
  return (host) => {
    const target = found.get(host);
    return target?.app.protocol === "tcp" ? target : undefined;
  };
}

/** The cluster's zone in which a normalized host name lies: the first that fits. */
export function zoneFor(cluster: ClusterView, host: string): string | undefined {
  const zones = [...cluster.zones, ...cluster.proxyHosts].map(normalizeHost);
  const profile = normalizeHost(cluster.profile);
  const zone = zones.find((each) => each !== "" && (host === each || isBelow(host, each)));
  return zone ?? (isChild(host, profile) ? profile : undefined);
}

/**
 * Finds the cluster whose login has expired and whose app a normalized host name may
 * be: it has the app or, as last seen, the zone. Never for a proxy's own host.
 */
export function expiredOf(clusters: readonly ClusterView[]): (host: string) => ClusterView | undefined {
  const proxyHosts = new Set(
    clusters.flatMap((cluster) => [cluster.profile, ...cluster.proxyHosts]).map(normalizeHost),
  );
  const zones = clusters
    .filter((cluster) => cluster.loginExpired)
    .flatMap((cluster) => zonesOf([cluster]).map((zone) => ({ zone, cluster })));
  return (host) =>
    proxyHosts.has(host) ? undefined : zones.find(({ zone }) => host === zone || isBelow(host, zone))?.cluster;
}

/** The zones whose queries the host sends to VNet: custom ones and the proxies' hosts, each once. */
export function zonesOf(clusters: readonly ClusterView[]): string[] {
  const zones = clusters.flatMap((cluster) => [...cluster.zones, ...cluster.proxyHosts]);
  return [...new Set(zones.map(normalizeHost))].filter((zone) => zone !== "");
}

/** Lower case, without a final dot. */
export function normalizeHost(host: string): string {
  return host.toLowerCase().replace(/\.$/, "");
}

/** Strictly below: neither the zone itself nor a name that merely ends with the same letters. */
function isBelow(host: string, zone: string): boolean {
  return zone !== "" && host.endsWith(`.${zone}`) && host.length > zone.length + 1;
}

function isChild(host: string, parent: string): boolean {
  return isBelow(host, parent) && !host.slice(0, -parent.length - 1).includes(".");
}

function tcpFirst(apps: readonly AppView[]): AppView[] {
  return [...apps.filter((app) => app.protocol === "tcp"), ...apps.filter((app) => app.protocol !== "tcp")];
}
