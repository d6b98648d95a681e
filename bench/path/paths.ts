import { Part } from "../tun/processes.ts";
import { type Credentials, issueCredentials } from "./credentials.ts";
import type { AgentStart, ClientAnswer, ClientStart, Entry, ProxyStart } from "./part.ts";
import type { ProxyPorts, TerminatingProxyStart } from "./terminating.ts";

/** App sessions of our client that are in use, each with a link of its own. */
export const APP_SESSIONS = 3;
export const ROLES = ["client", "proxy", "agent"] as const;
export type Role = (typeof ROLES)[number];

/** A way to the target, in processes of its own so that none collects another's garbage. */
export interface Path {
  readonly name: string;
  /** The first serves unless an app of its own is wanted. */
  readonly entries: readonly Entry[];
  /** Where nothing is ready for a connection. */
  readonly cold: Entry;
  readonly cpu: Partial<Record<Role, { cpu(): number }>>;
  /** Which can say what they take. */
  readonly parts: Partial<Record<Role, Part>>;
  stop(): void;
}

/** Our whole path; `tun`: from an address of VNet, `ports`: from a local port as `tsh proxy app` has one. */
export async function startLink(here: string[], targetPort: number, entry: "tun" | "ports"): Promise<Path> {
  const credentials = await issueCredentials(APP_SESSIONS + 1);
  const { sessions } = credentials;
  const proxyStart: ProxyStart = { credentials: credentials.proxy, sessions };
  const [proxy, proxyPort] = await start<number>(here, ["proxy.ts"], proxyStart);
  const [agent] = await start(here, ["agent.ts"], agentStart(credentials, proxyPort, targetPort));
  const clientStart: ClientStart = { sessions, proxyPort, entry };
  const [client, { entries, cold }] = await start<ClientAnswer>(here, ["client.ts"], clientStart);
  return pathOf(entry === "tun" ? "vnet" : "link", { client, proxy, agent }, entries, cold);
}

/** TLS that ends at the proxy. */
export async function startTerminating(here: string[], targetPort: number): Promise<Path> {
  const credentials = await issueCredentials(1);
  const { sessions, userCas } = credentials;
  const file = "terminating.ts";
  const proxyStart: TerminatingProxyStart = { credentials: credentials.proxy, sessions, userCas };
  const [proxy, ports] = await start<ProxyPorts>(here, [file, "proxy"], proxyStart);
  const [agent] = await start(here, [file, "agent"], agentStart(credentials, ports.agents, targetPort));
  const clientStart: ClientStart = { sessions, proxyPort: ports.clients, entry: "ports" };
  const [client, port] = await start<number>(here, [file, "client"], clientStart);
  return pathOf("terminating", { client, proxy, agent }, [{ host: "127.0.0.1", port }]);
}

/** Three plain relays, unencrypted. */
export async function startPlain(here: string[], targetPort: number): Promise<Path> {
  const [agent, agentPort] = await Part.start<number>(here, "relay.ts", targetPort);
  const [proxy, proxyPort] = await Part.start<number>(here, "relay.ts", agentPort);
  const [client, port] = await Part.start<number>(here, "relay.ts", proxyPort);
  return pathOf("plain", { client, proxy, agent }, [{ host: "127.0.0.1", port }]);
}

async function start<Answer>(here: string[], [file, ...args]: string[], message: object): Promise<[Part, Answer]> {
  const [part] = await Part.start(here, `../path/${file}`, ...args);
  return [part, await part.ask<Answer>(message)];
}

function agentStart({ agent, userCas }: Credentials, proxyPort: number, targetPort: number): AgentStart {
  return { credentials: agent, userCas, proxyPort, targetPort };
}

function pathOf(name: string, parts: Record<Role, Part>, entries: readonly Entry[], cold = entries[0]!): Path {
  const stop = () => {
    for (const role of ROLES) parts[role].stop();
  };
  return { name, entries, cold, cpu: parts, parts, stop };
}
