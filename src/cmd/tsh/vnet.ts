import { join } from "node:path";
import { Counters, systemClock, systemRandom } from "../../base/mod.ts";
import { ClusterDirectory, NotLoggedInError } from "../../client/mod.ts";
import { loadTshConfig } from "../../config/mod.ts";
import { Upstreams, withoutServers } from "../../dns/mod.ts";
import { type AttachedLauncher, attachLauncher, type HostReport } from "../../host/mod.ts";
import { TUN_MTU, type TunDevice } from "../../tun/mod.ts";
import {
  AddressFile,
  type Directory,
  FreeRanges,
  type Outside,
  planAddresses,
  VNet,
  type VnetAddresses,
} from "../../vnet/mod.ts";
import { aborted, interruption, say } from "../cli/program.ts";
import { HostSide } from "./host-side.ts";
import { watchReadiness } from "./readiness.ts";
import type { Tsh } from "./session.ts";
import { serveMetrics } from "./vnet-metrics.ts";
import { offerStatus } from "./vnet-status.ts";

/** The clusters of all saved logins, in the order that the person has set; they may take a moment to appear. */
export async function openClusters(tsh: Tsh): Promise<ClusterDirectory> {
  const { clusterOrder } = await loadTshConfig(tsh.env.home);
  const tell = (line: string) => say(`${line}\n`);
  const person = () => tsh.personBeside();
  const { store, log, dialTcp } = tsh;
  return ClusterDirectory.open({ store, log, tell, order: clusterOrder, person, dialTcp });
}

/** The same, seen once; says which logins have expired, and which clusters cannot be reached. */
export async function openDirectory(tsh: Tsh, stop?: AbortSignal): Promise<ClusterDirectory> {
  const names = await tsh.store.names();
  if (names.length === 0) {
    throw new NotLoggedInError('not logged in; log in with "tsh login --proxy=PROXY_HOST --user=NAME" first');
  }
  const logins = await Promise.allSettled(names.map((name) => tsh.store.load(name)));
  // One that is damaged is told and passed over; with no other there is nothing to serve.
  const [first] = logins;
  if (first?.status === "rejected" && logins.every(({ status }) => status === "rejected")) throw first.reason;
  const directory = await openClusters(tsh);
  await Promise.race([directory.ready(), ...(stop ? [aborted(stop)] : [])]);
  if (stop?.aborted) return directory;
  for (const { profile, reason } of directory.unreachable()) {
    say(`${profile} cannot be reached (${reason}): its apps appear as soon as it can.\n`);
  }
  return directory;
}

/** Where names keep their addresses, and the addresses of this run. */
export function openAddresses(tsh: Tsh, directory: Directory): { file: AddressFile; addresses: VnetAddresses } {
  const file = new AddressFile(join(tsh.env.home, "vnet", "addresses.json"), { clock: systemClock, log: tsh.log });
  const addresses = planAddresses(directory.clusters(), systemRandom, file.v6Prefix);
  file.setPrefix(addresses.tunV6);
  return { file, addresses };
}

export interface VnetParts {
  readonly tun: TunDevice;
  readonly directory: Directory;
  readonly addresses: VnetAddresses;
  readonly store: AddressFile;
  readonly counters: Counters;
  /** The host's own name servers. */
  readonly servers: () => readonly string[];
  readonly outside?: Outside;
  /** `false` where names shall have no IPv6 addresses. */
  readonly ipv6?: boolean;
}

export function newVnet(tsh: Tsh, parts: VnetParts): { vnet: VNet; upstreams: Upstreams } {
  const { addresses, counters, servers } = parts;
  const own = [addresses.dnsV4, addresses.dnsV6];
  const upstreams = new Upstreams({
    servers: () => withoutServers(servers(), own),
    clock: systemClock,
    counters,
  });
  const vnet = new VNet({
    ...parts,
    upstreams,
    clock: systemClock,
    random: systemRandom,
    log: tsh.log,
  });
  return { vnet, upstreams };
}

export interface HostFlags {
  readonly ipv4Cidr?: string;
  readonly ipv4Only: boolean;
  readonly diagAddr?: string;
}

/** The unprivileged user process behind `sudo tsh vnet`: it holds all keys and parses all hostile bytes. */
export async function serveFromLauncher(tsh: Tsh, flags: HostFlags): Promise<void> {
  const launcher = attachLauncher({ mtu: TUN_MTU });
  const stop = AbortSignal.any([interruption(), launcher.closed]);
  try {
    await using directory = await openDirectory(tsh, stop);
    if (!stop.aborted) await serve(tsh, launcher, directory, flags, stop);
    // Goodbyes to the clusters may take a while; the host need not wait for them.
    launcher.close();
  } catch (error) {
    if (!stop.aborted) throw error;
  } finally {
    launcher.close();
  }
}

async function serve(
  tsh: Tsh,
  launcher: AttachedLauncher,
  clusters: ClusterDirectory,
  flags: HostFlags,
  stop: AbortSignal,
): Promise<void> {
  const first = await launcher.report();
  const latest = () => launcher.latest ?? first;
  const directory = new FreeRanges(clusters, {
    taken: () => takenOn(latest()),
    ...(flags.ipv4Cidr !== undefined && { range: flags.ipv4Cidr }),
    tell: (line) => say(`${line}\n`),
  });
  directory.check();
  const ipv6 = first.ipv6 && !flags.ipv4Only;
  const { file, addresses } = openAddresses(tsh, directory);
  await using store = file;
  const { tun } = launcher;
  const servers = () => latest().upstreams;
  const { vnet, upstreams } = newVnet(tsh, {
    tun,
    directory,
    addresses,
    store,
    servers,
    ipv6,
    counters: new Counters(),
  });
  const served = vnet.run(stop);
  await using _ = await offerStatus(tsh, { kind: "host", tun, addresses, directory, upstreams, vnet, host: latest });
  const host = new HostSide(launcher, directory, addresses, { ipv6 });
  // A device that vanishes meanwhile is told now, not when the launcher's time is up.
  await Promise.race([host.start(), served]);
  if (stop.aborted) return;
  const state: { problem?: string | undefined } = { problem: "its names were not asked for yet" };
  const told = (problem: string | undefined) => {
    state.problem = problem;
  };
  const ready = watchReadiness({ host, directory, addresses, tun, latest, told }, stop);
  await using _metrics = await serveMetrics(flags.diagAddr, {
    vnet,
    directory,
    upstreams,
    problem: () => state.problem,
  });
  await served;
  await ready;
}

/** A name server beyond a default route is in no route of its own. */
function takenOn({ taken, upstreams }: HostReport): HostReport["taken"] {
  const servers = upstreams.filter((server) => !server.includes(":"));
  return [...taken, ...servers.map((server) => ({ range: `${server}/32`, by: "a name server" }))];
}
