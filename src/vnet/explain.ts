import { parseRange } from "./addresses.ts";
import type { AppView, ClusterView } from "./directory.ts";
import { describePorts, offersPort } from "./ports.ts";
import { normalizeHost, zoneFor } from "./zones.ts";

/** One question on a name's way, and its answer. */
export interface ExplainStep {
  readonly step:
    | "name"
    | "carve-out"
    | "zone"
    | "cluster"
    | "app"
    | "login"
    | "role"
    | "address"
    | "route"
    | "port"
    | "agent"
    | "target";
  /** `stop`: VNet goes no further with this name. `wait`: it goes on when the person has logged in. */
  readonly outcome: "ok" | "wait" | "stop";
  readonly detail: string;
}

export interface Explanation {
  readonly host: string;
  readonly port?: number;
  /** Does the name lead to an app, at this port if one is given, and as far as it was tried? */
  readonly served: boolean;
  readonly steps: readonly ExplainStep[];
  /** Where the name leads, if it does. */
  readonly target?: { readonly cluster: ClusterView; readonly app: AppView };
}

export interface ExplainInput {
  /** In the order of the search. */
  readonly clusters: readonly ClusterView[];
  /** Addresses that a name has already. */
  readonly addressesOf?: (host: string) => readonly string[] | undefined;
  /** Of the person, in the cluster. */
  readonly rolesOf?: (cluster: ClusterView) => readonly string[] | undefined;
  /** Whether the system sends packets for these addresses to VNet. */
  readonly route?: Finding;
  /** What came of a connection to the app. */
  readonly trial?: Trial;
}

export interface Finding {
  readonly ok: boolean;
  readonly detail: string;
}

/** Where a connection to the app came to its end, and why; `at` is absent where the app's own server accepted. */
export interface Trial {
  readonly at?: "login" | "role" | "port" | "agent" | "target";
  readonly detail: string;
}

const LABEL = /^[a-z0-9_-]{1,63}$/;
const MAX_HOST_LEN = 253;

/** Walks `NAME` or `NAME:PORT` through what VNet asks of a name, up to where it stops. Agrees with `tableOf`. */
export function explain(text: string, input: ExplainInput): Explanation {
  const { host, port, problem } = parse(text);
  const steps: ExplainStep[] = [];
  const add: Add = (step, outcome, detail) => {
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
  if (!found) return end(add("app", "stop", noApp(host, within, input)));
  const { cluster } = found;
  add("cluster", "ok", chosen(cluster, input.clusters));
  const apps = appsAt(cluster, host);
  const app = apps.find(({ protocol }) => protocol === "tcp");
  if (!app) {
    const web = `${apps[0]!.name} of ${named(cluster)} is a web app`;
    return end(add("app", "stop", `${web}: its name leads to the real proxy, so the question goes upstream`));
  }
  const others = within.filter((other) => other !== found && appsAt(other.cluster, host).length > 0);
  const loser = others.length > 0 ? `; ${named(others[0]!.cluster)} has one too, but comes later` : "";
  add("app", "ok", `${app.name} of ${named(cluster)}${loser}`);
  return { ...end(explainApp(cluster, app, host, port, input, add)), target: { cluster, app } };
}

type Add = (step: ExplainStep["step"], outcome: ExplainStep["outcome"], detail: string) => boolean;

/** The way from an app that was found to its server; answers whether it was gone to its end. */
function explainApp(
  cluster: ClusterView,
  app: AppView,
  host: string,
  port: number | undefined,
  input: ExplainInput,
  add: Add,
): boolean {
  const { trial, route } = input;
  const failed = (step: Trial["at"]) => trial !== undefined && trial.at === step;
  if (cluster.loginExpired) {
    const waits = "a connection waits for a new one, then is refused";
    add("login", "wait", `the login to ${cluster.profile} has expired: ${waits}`);
  } else if (failed("login")) {
    return add("login", "stop", trial!.detail);
  } else {
    add("login", "ok", `logged in to ${cluster.profile}`);
  }

  const roles = input.rolesOf?.(cluster);
  if (failed("role")) return add("role", "stop", trial!.detail);
  if (roles) add("role", "ok", `your roles (${roles.join(", ") || "none"}) let you see the app`);

  if (!parseRange(cluster.ipv4Cidr)) {
    return add("address", "stop", `${cluster.ipv4Cidr} is not an IPv4 range that VNet can use: SERVFAIL`);
  }
  const addresses = input.addressesOf?.(host) ?? [];
  const none = `gets one of ${cluster.ipv4Cidr} when it is first asked for`;
  add("address", "ok", addresses.length > 0 ? addresses.join(", ") : none);
  if (route && !add("route", route.ok ? "ok" : "stop", route.detail)) return false;

  if (!explainPort(app, port, add)) return false;
  if (trial === undefined) return true;
  if (failed("port")) return add("port", "stop", trial.detail);
  if (failed("agent")) return add("agent", "stop", trial.detail);
  add("agent", "ok", "an agent of the app answered through the proxy");
  return add("target", failed("target") ? "stop" : "ok", trial.detail);
}

/** Why this cluster: the order in which they are asked, where there is a choice. */
function chosen(cluster: ClusterView, clusters: readonly ClusterView[]): string {
  const order = clusters.map(named).join(", ");
  return clusters.length < 2 ? named(cluster) : `${named(cluster)}; asked in the order ${order}`;
}

function explainPort(app: AppView, port: number | undefined, add: Add): boolean {
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

/** Auth shows only the apps that a role allows: that there is none, and that none may be seen, look alike. */
function noApp(host: string, within: readonly { cluster: ClusterView }[], input: ExplainInput): string {
  const seen = within.map(({ cluster }) => {
    const roles = input.rolesOf?.(cluster);
    const as = roles && roles.length > 0 ? ` to the roles ${roles.join(", ")}` : "";
    return `${named(cluster)} (which shows ${cluster.apps.length} apps${as})`;
  });
  return `no app that you may reach has the public_addr ${host} in ${seen.join(", ")}: asked upstream`;
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
