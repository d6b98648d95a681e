import { mkdir } from "node:fs/promises";
import { messageOf, VERSION } from "../../base/mod.ts";
import type { Upstreams } from "../../dns/mod.ts";
import type { HostReport } from "../../host/mod.ts";
import type { TunDevice } from "../../tun/mod.ts";
import {
  clientPrograms,
  clusterStatus,
  type Directory,
  readStatuses,
  serveStatus,
  statusDirs,
  type VNet,
  type VnetAddresses,
  type VnetStatus,
} from "../../vnet/mod.ts";
import type { Format } from "../cli/arguments.ts";
import { humanDuration, printAs } from "../cli/format.ts";
import { EXIT_FAILURE, ExitWith, say } from "../cli/program.ts";
import { headless, table } from "../cli/table.ts";
import type { Tsh } from "./session.ts";

export interface RunningVnet {
  readonly kind: VnetStatus["kind"];
  readonly command?: { readonly line: readonly string[]; readonly pid: number };
  readonly tun: TunDevice;
  readonly addresses: VnetAddresses;
  readonly directory: Directory;
  readonly upstreams: Upstreams;
  readonly vnet: VNet;
  /** The machine as the launcher sees it; absent for `exec`, which is of no concern to it. */
  readonly host?: () => HostReport;
}

function dirsOf(tsh: Tsh): string[] {
  const { runtimeDir, home } = tsh.env;
  return statusDirs({ runtimeDir, home, uid: process.getuid?.() ?? 0 });
}

/** Lets other terminals of the user ask; without a place for that VNet goes on, and says so. */
export async function offerStatus(tsh: Tsh, running: RunningVnet): Promise<AsyncDisposable> {
  const started = new Date().toISOString();
  try {
    await mkdir(tsh.env.home, { recursive: true, mode: 0o700 }); // With an identity file there may be none yet.
    return await serveStatus(dirsOf(tsh), () => statusOf(running, started));
  } catch (error) {
    tsh.log.warn({ error: messageOf(error) }, "tsh vnet status will not see this VNet");
    return { async [Symbol.asyncDispose]() {} };
  }
}

export function statusOf(running: RunningVnet, started: string): VnetStatus {
  const { kind, command, tun, addresses, directory, upstreams, vnet, host } = running;
  const { names, apps, open, counters } = vnet.stats();
  return {
    version: 1,
    pid: process.pid,
    tsh_version: VERSION,
    kind,
    ...(command && { command: command.line, command_pid: command.pid }),
    started,
    device: { name: tun.name, mtu: tun.mtu },
    addresses: { tun: [addresses.tunV4, addresses.tunV6], dns: [addresses.dnsV4, addresses.dnsV6] },
    ...(host && { resolver: host().dns, taken: [...host().taken] }),
    upstreams: upstreams.servers(),
    clusters: directory.clusters().map(clusterStatus),
    names,
    apps: apps.map(({ toApp, fromApp, ...row }) => ({ ...row, to_app: toApp, from_app: fromApp })),
    connections: open.map(({ toApp, fromApp, since, ...row }) => ({
      ...row,
      since: new Date(since).toISOString(),
      to_app: toApp,
      from_app: fromApp,
    })),
    counters,
  };
}

/** Adds the clients' programs, as far as this process may know them. */
function withPrograms(status: VnetStatus): VnetStatus {
  const ends = new Set(status.connections.map(({ from }) => from));
  const programs = clientPrograms(ends, status.command_pid === undefined ? {} : { netOf: status.command_pid });
  const connections = status.connections.map((each) => {
    const program = programs.get(each.from);
    return program ? { ...each, program } : each;
  });
  return { ...status, connections };
}

/** The user's running VNets, that of the machine first. Those of another version's form are left out. */
export async function runningVnets(tsh: Tsh): Promise<VnetStatus[]> {
  const all = (await readStatuses(dirsOf(tsh))) as VnetStatus[];
  const known = all.filter((status) => status?.version === 1);
  return known.sort((a, b) => Number(b.kind === "host") - Number(a.kind === "host") || a.pid - b.pid);
}

export async function printStatus(tsh: Tsh, format: Format): Promise<void> {
  const vnets = (await runningVnets(tsh)).map(withPrograms);
  printAs(format, { vnets }, () => vnets.map(statusText).join("\n"));
  if (vnets.length === 0) sayNotRunning();
}

/** Those that run, with their clients' programs; else says that none does. */
export async function requireRunning(tsh: Tsh): Promise<VnetStatus[]> {
  const vnets = (await runningVnets(tsh)).map(withPrograms);
  return vnets.length > 0 ? vnets : sayNotRunning();
}

function sayNotRunning(): never {
  say('VNet is not running; start it with "tsh vnet", or "tsh vnet exec -- COMMAND" for one command\n');
  throw new ExitWith(EXIT_FAILURE);
}

export function statusText(status: VnetStatus): string {
  const age = humanDuration(Date.now() - Date.parse(status.started));
  const what = status.kind === "host" ? "VNet of this machine" : `VNet for "${status.command?.join(" ") ?? ""}"`;
  const upstreams = status.upstreams.map(({ address, failed }) => (failed ? `${address} (silent lately)` : address));
  const facts = headless([
    [what, `pid ${status.pid}, running for ${age}`],
    ["Device", `${status.device.name}, MTU ${status.device.mtu}, ${status.addresses.tun.join(", ")}`],
    ["DNS server", status.addresses.dns.join(", ")],
    ...(status.resolver === undefined ? [] : [["Asked by", resolverText(status.resolver)]]),
    ["Other names", upstreams.join(", ") || "no DNS server of the host is known"],
  ]);
  const clusters = table(
    ["Cluster", "Login", "Zones", "Addresses", "TCP Apps"],
    status.clusters.map((cluster) => [
      cluster.cluster,
      cluster.login,
      [...new Set([...cluster.zones, ...cluster.proxies])].join(", "),
      cluster.ipv4_cidr,
      String(cluster.apps.filter(({ protocol }) => protocol === "tcp").length),
    ]),
  );
  const addressOf = new Map(status.names.map(({ host, v4 }) => [host, v4]));
  const apps = table(
    ["Name", "Address", "Open", "Total", "Refused", "To App", "From App"],
    status.apps.map((row) => [
      row.host,
      addressOf.get(row.host) ?? "",
      ...[row.open, row.total, row.refused].map(String),
      octets(row.to_app),
      octets(row.from_app),
    ]),
  );
  return [facts, clusters, ...(status.apps.length > 0 ? [apps] : []), ...connectionsText(status)].join("\n");
}

/** More are seen with --format=json. */
const MAX_SHOWN_CONNECTIONS = 20;

/** The open connections, the busiest first. */
export function connectionsText({ connections }: VnetStatus): string[] {
  if (connections.length === 0) return [];
  const sorted = connections.toSorted((a, b) => b.to_app + b.from_app - a.to_app - a.from_app);
  const rows = sorted
    .slice(0, MAX_SHOWN_CONNECTIONS)
    .map(({ program, host, port, since, to_app, from_app }) => [
      program ? `${program.name} (${program.pid})` : "another user's",
      `${host}:${port}`,
      humanDuration(Date.now() - Date.parse(since)),
      octets(to_app),
      octets(from_app),
    ]);
  const shown = table(["Program", "Connected To", "For", "To App", "From App"], rows);
  const more = connections.length - rows.length;
  return [more > 0 ? `${shown}and ${more} more\n` : shown];
}

function resolverText({ manager, note }: NonNullable<VnetStatus["resolver"]>): string {
  const names = { file: "all programs that read /etc/resolv.conf", none: "nobody, unless you see to it" };
  const who = names[manager as keyof typeof names] ?? manager;
  return note === undefined ? who : `${who} (${note})`;
}

function octets(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, count)) / 10));
  return `${power === 0 ? count : (count / 1024 ** power).toFixed(1)} ${units[power]}`;
}
