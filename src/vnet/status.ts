import type { ClusterView } from "./directory.ts";

/** One running VNet, as `tsh vnet status --format=json` prints it: fields may be added, none changes its meaning. */
export interface VnetStatus {
  version: 1;
  pid: number;
  tsh_version: string;
  /** `host`: serves the machine. `exec`: one command. */
  kind: "host" | "exec";
  command?: readonly string[];
  /** Of the command, whose network is VNet's. */
  command_pid?: number;
  started: string;
  device: { name: string; mtu: number };
  addresses: { tun: string[]; dns: string[] };
  /** Who tells the host's programs to ask VNet: `systemd-resolved`, `openresolv`, `resolvconf`, `file` or `none`. */
  resolver?: { manager: string; note?: string };
  /** Ranges of others on this host, which VNet leaves to them. */
  taken?: { range: string; by: string }[];
  upstreams: { address: string; failed: boolean }[];
  clusters: ClusterStatus[];
  names: readonly { host: string; v4: string; v6: string }[];
  apps: AppStatus[];
  connections: ConnectionStatus[];
  counters: Readonly<Record<string, number>>;
}

export interface ClusterStatus {
  profile: string;
  cluster: string;
  /** A leaf of the login's own cluster. */
  leaf?: true;
  login: "valid" | "expired";
  zones: readonly string[];
  proxies: readonly string[];
  ipv4_cidr: string;
  apps: {
    name: string;
    public_addr: string;
    protocol: "tcp" | "http";
    tcp_ports: { port: number; end_port?: number }[];
  }[];
}

interface AppStatus {
  app: string;
  cluster: string;
  host: string;
  open: number;
  total: number;
  refused: number;
  to_app: number;
  from_app: number;
}

interface ConnectionStatus {
  /** The client, where the system says who it is to whoever asks. */
  program?: { pid: number; name: string };
  app: string;
  cluster: string;
  host: string;
  port: number;
  from: string;
  since: string;
  to_app: number;
  from_app: number;
}

export function clusterStatus(view: ClusterView): ClusterStatus {
  return {
    profile: view.profile,
    cluster: view.cluster,
    ...(view.leaf && { leaf: view.leaf }),
    login: view.loginExpired ? "expired" : "valid",
    zones: view.zones,
    proxies: view.proxyHosts,
    ipv4_cidr: view.ipv4Cidr,
    apps: view.apps.map(({ name, publicAddr, protocol, tcpPorts }) => ({
      name,
      public_addr: publicAddr,
      protocol,
      tcp_ports: tcpPorts.map(({ port, endPort }) => ({ port, ...(endPort !== undefined && { end_port: endPort }) })),
    })),
  };
}

/** What a running VNet knows of a cluster, in the form in which VNet itself knows it. */
export function viewOf(status: ClusterStatus): ClusterView {
  return {
    profile: status.profile,
    cluster: status.cluster,
    ...(status.leaf && { leaf: status.leaf }),
    proxyHosts: status.proxies,
    zones: status.zones,
    ipv4Cidr: status.ipv4_cidr,
    apps: status.apps.map(({ name, public_addr, protocol, tcp_ports }) => ({
      name,
      publicAddr: public_addr,
      protocol,
      tcpPorts: tcp_ports.map(({ port, end_port }) => ({ port, ...(end_port !== undefined && { endPort: end_port }) })),
    })),
    ...(status.login === "expired" && { loginExpired: true as const }),
  };
}
