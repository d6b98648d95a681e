import { parseRange } from "./addresses.ts";
import type { AppView, ClusterView } from "./directory.ts";
import { describePorts, offersPort } from "./ports.ts";
import { normalizeHost, zoneFor } from "./zones.ts";

/** One question on a name's way, and its answer. */
export interface ExplainStep {
  readonly step: "name" | "carve-out" | "zone" | "app" | "login" | "address" | "port";
  /** `stop`: VNet goes no further with this name. `wait`: it goes on when the person has logged in. */
  readonly outcome: "ok" | "wait" | "stop";
  readonly detail: string;
}

export interface Explanation {
  readonly host: string;
  readonly port?: number;
  /** Does the name lead to an app, at this port if one is given? */
  readonly served: boolean;
  readonly steps: readonly ExplainStep[];
}

export interface ExplainInput {
  /** In the order of the search. */
  readonly clusters: readonly ClusterView[];
  /** Addresses that a name has already. */
  readonly addressesOf?: (host: string) => readonly string[] | undefined;
}

const LABEL = /^[a-z0-9_-]{1,63}$/;
const MAX_HOST_LEN = 253;

/** Walks `NAME` or `NAME:PORT` through what VNet asks of a name, up to where it stops. Agrees with `tableOf`. */
export function explain(text: string, input: ExplainInput): Explanation {
  const { host, port, problem } = parse(text);
  const steps: ExplainStep[] = [];
  const add = (step: ExplainStep["step"], outcome: ExplainStep["outcome"], detail: string) => {
    steps.push({ step, outcome, detail });
    return outcome !== "stop";
  };
  const end = (served: boolean): Explanation => ({ host, ...(port !== undefined && { port }), served, steps });
  if (problem !== undefined) return end(add("name", "stop", problem));

  const proxyOf = input.clusters.find((cluster) => proxiesOf(cluster).includes(host));
  if (proxyOf) {
    const why = "always asked upstream, so that the way to the cluster never leads through VNet";
    return end(add("carve-out", "stop", `${host} is a proxy of ${named(proxyOf)}: ${why}`));
  }
  add("carve-out", "ok", "not a proxy's own name");

  const within = input.clusters.flatMap((cluster) => {
    const zone = zoneFor(cluster, host);
    return zone === undefined ? [] : [{ cluster, zone }];
  });
  if (within.length === 0) return end(add("zone", "stop", noZone(host, input.clusters)));
  add("zone", "ok", within.map(({ cluster, zone }) => `${zone} of ${named(cluster)}`).join(", then "));

  const found = within.find(({ cluster }) => appsAt(cluster, host).length > 0);
  if (!found) return end(add("app", "stop", noApp(host, within)));
  const { cluster } = found;
  const apps = appsAt(cluster, host);
  const app = apps.find(({ protocol }) => protocol === "tcp");
  if (!app) {
    const web = `${apps[0]!.name} of ${named(cluster)} is a web app`;
    return end(add("app", "stop", `${web}: its name leads to the real proxy, so the question goes upstream`));
  }
  const others = within.filter((other) => other !== found && appsAt(other.cluster, host).length > 0);
  const loser = others.length > 0 ? `; ${named(others[0]!.cluster)} has one too, but comes later` : "";
  add("app", "ok", `${app.name} of ${named(cluster)}${loser}`);

  if (cluster.loginExpired) {
    add(
      "login",
      "wait",
      `the login to ${cluster.profile} has expired: a connection waits for a new one, then is refused`,
    );
  } else {
    add("login", "ok", `logged in to ${cluster.profile}`);
  }

  if (!parseRange(cluster.ipv4Cidr)) {
    return end(add("address", "stop", `${cluster.ipv4Cidr} is not an IPv4 range that VNet can use: SERVFAIL`));
  }
  const addresses = input.addressesOf?.(host) ?? [];
  const none = `gets one of ${cluster.ipv4Cidr} when it is first asked for`;
  add("address", "ok", addresses.length > 0 ? addresses.join(", ") : none);
  return end(explainPort(app, port, add));
}

function explainPort(
  app: AppView,
  port: number | undefined,
  add: (step: "port", outcome: ExplainStep["outcome"], detail: string) => boolean,
): boolean {
  const offered = app.tcpPorts.length === 0 ? "every port leads to the app's one target" : describePorts(app);
  if (port === undefined) return add("port", "ok", offered);
  if (offersPort(app, port)) return add("port", "ok", app.tcpPorts.length === 0 ? offered : `${port} is a target port`);
  return add("port", "stop", `${port} is not among the target ports of the app: ${offered}; a connection is refused`);
}

function parse(text: string): { host: string; port?: number; problem?: string } {
  const [, name = "", digits] = /^(.*?)(?::(\d*))?$/s.exec(text) ?? [];
  const host = normalizeHost(name);
  if (digits !== undefined) {
    const port = Number(digits);
    if (digits === "" || port < 1 || port > 65_535) return { host, problem: `${digits || "nothing"} is not a port` };
    return { ...parse(name), port };
  }
  const valid = host.length <= MAX_HOST_LEN && host.split(".").every((label) => LABEL.test(label));
  return valid ? { host } : { host, problem: "not a host name: VNet asks such names upstream" };
}

function noZone(host: string, clusters: readonly ClusterView[]): string {
  if (clusters.length === 0) return "no cluster is known: not logged in anywhere";
  const claimed = clusters.find((cluster) => appsAt(cluster, host).length > 0);
  const app = claimed ? `, although ${named(claimed)} has an app with this public_addr` : "";
  const zones = clusters.flatMap((cluster) => [...cluster.zones, ...cluster.proxyHosts].map(normalizeHost));
  const known = [...new Set(zones)].join(", ");
  return `in no zone of yours (${known})${app}: asked upstream; "tctl edit vnet_config" adds zones`;
}

function noApp(host: string, within: readonly { cluster: ClusterView }[]): string {
  const seen = within.map(({ cluster }) => `${named(cluster)} (${cluster.apps.length} apps)`).join(", ");
  return `no app that you may reach has the public_addr ${host} in ${seen}: asked upstream`;
}

function named({ cluster, profile }: ClusterView): string {
  return cluster === profile ? cluster : `${cluster} (by ${profile})`;
}

function proxiesOf(cluster: ClusterView): string[] {
  return [cluster.profile, ...cluster.proxyHosts].map(normalizeHost);
}

function appsAt(cluster: ClusterView, host: string): AppView[] {
  return cluster.apps.filter((app) => normalizeHost(app.publicAddr) === host);
}
