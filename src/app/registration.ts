import {
  type App,
  type AppServer,
  appServerName,
  type HostPort,
  parseHostPort,
  type TargetHealth,
} from "../api/mod.ts";
import { VERSION } from "../base/mod.ts";

/** What the agent knows about itself when it announces apps. */
export interface AgentDescription {
  readonly hostId: string;
  readonly hostname: string;
  readonly cluster: string;
  /** `host:port` of the cluster's proxies. */
  readonly proxyAddrs: readonly string[];
}

/**
 * The app as it is announced: without a `public_addr` of its own it is
 * `<name>.<proxy's public host>`, and where no proxy has one `<name>.<cluster>`.
 */
export function withPublicAddr(app: App, agent: AgentDescription): App {
  if (app.spec.public_addr) return app;
  const proxyHost = agent.proxyAddrs
    .map(parseHostPort)
    .find((address): address is HostPort => address !== undefined && isName(address.host))?.host;
  return {
    ...app,
    spec: { ...app.spec, public_addr: `${app.metadata.name}.${(proxyHost ?? agent.cluster).toLowerCase()}` },
  };
}

/** A name can be the suffix of another; an address cannot. */
function isName(host: string): boolean {
  return !/^[\d.]+$/.test(host) && !host.includes(":");
}

/** The announcement of one app by this agent. `expires`: milliseconds since 1970. */
export function appServerOf(
  app: App,
  agent: AgentDescription,
  expires: number,
  health: TargetHealth = { status: "unknown" },
): AppServer {
  return {
    kind: "app_server",
    version: "v3",
    metadata: {
      name: appServerName(agent.hostId, app.metadata.name),
      ...(app.metadata.labels && { labels: app.metadata.labels }),
      expires: new Date(expires).toISOString(),
    },
    spec: { version: VERSION, hostname: agent.hostname, host_id: agent.hostId, app },
    status: { target_health: health },
  };
}

/** Names of this agent's announcements that no configured app stands behind any more. */
export function staleServers(announced: Iterable<AppServer>, hostId: string, apps: readonly App[]): string[] {
  const current = new Set(apps.map((app) => appServerName(hostId, app.metadata.name)));
  return [...announced]
    .filter((server) => server.spec.host_id === hostId && !current.has(server.metadata.name))
    .map((server) => server.metadata.name);
}
