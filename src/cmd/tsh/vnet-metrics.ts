import type { Upstreams } from "../../dns/mod.ts";
import type { Directory, VNet } from "../../vnet/mod.ts";
import { Diagnostics } from "../cli/diagnostics.ts";
import { say } from "../cli/program.ts";

export interface Measured {
  readonly vnet: VNet;
  readonly directory: Directory;
  readonly upstreams: Upstreams;
  /** Why the host does not find VNet's names, if it does not. */
  readonly problem?: () => string | undefined;
}

/** The client's own path as Prometheus metrics, on `address` if one is given. Ends with the result. */
export async function serveMetrics(address: string | undefined, measured: Measured): Promise<AsyncDisposable> {
  if (address === undefined) return { async [Symbol.asyncDispose]() {} };
  const { vnet, directory, upstreams, problem } = measured;
  const diagnostics = new Diagnostics("tsh");
  diagnostics.component("vnet", { counters: vnet.counters, ...(problem && { problem }) });
  const connections = () => vnet.stats().connections;
  diagnostics.gauge("teleport_vnet_connections", "Connections to apps that are open.", () => connections().open);
  diagnostics.gauge("teleport_vnet_dials", "Connections to apps being set up.", () => connections().dialing);
  diagnostics.counter(
    "teleport_vnet_connections_total",
    "Connections to apps since the start.",
    () => connections().total,
  );
  diagnostics.counter(
    "teleport_vnet_refused_total",
    "Connections refused since the start.",
    () => connections().refused,
  );
  diagnostics.counter("teleport_vnet_to_apps_octets_total", "Octets sent to apps.", () => vnet.stats().toApps);
  diagnostics.counter(
    "teleport_vnet_from_apps_octets_total",
    "Octets received from apps.",
    () => vnet.stats().fromApps,
  );
  diagnostics.gauge("teleport_vnet_names", "Names that have addresses.", () => vnet.stats().names.length);
  diagnostics.gauge("teleport_vnet_clusters", "Clusters that are served.", () => directory.clusters().length);
  diagnostics.gauge(
    "teleport_vnet_expired_logins",
    "Clusters whose login has expired.",
    () => directory.clusters().filter(({ loginExpired }) => loginExpired).length,
  );
  diagnostics.gauge(
    "teleport_vnet_upstreams",
    "DNS servers of the host that are known.",
    () => upstreams.servers().length,
  );
  diagnostics.gauge(
    "teleport_vnet_failed_upstreams",
    "Those of them that failed or were silent lately.",
    () => upstreams.servers().filter(({ failed }) => failed).length,
  );
  const served = await diagnostics.listen(address);
  say(`Metrics are at http://${served.address}/metrics\n`);
  return served;
}
