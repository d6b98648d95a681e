import { readFileSync } from "node:fs";
import { Counters, messageOf, systemClock, systemRandom } from "../../base/mod.ts";
import { ClusterDirectory, expired, isExpired, NotLoggedInError } from "../../client/mod.ts";
import { parseResolvConf, Upstreams, withoutServers } from "../../dns/mod.ts";
import { attachLauncher, runInNamespace, type WantedState } from "../../host/mod.ts";
import { TUN_MTU, type TunDevice } from "../../tun/mod.ts";
import { planAddresses, rangesOf, VNet, type VnetAddresses, zonesOf } from "../../vnet/mod.ts";
import { ExitWith, exitCodeOf, interruption, print, say } from "../cli/program.ts";
import type { Tsh } from "./session.ts";

/** The clusters with a usable login; says which saved logins are not. */
async function openDirectory(tsh: Tsh): Promise<ClusterDirectory> {
  const profiles = await tsh.store.all();
  if (profiles.length === 0) {
    throw new NotLoggedInError('not logged in; log in with "tsh login --proxy=PROXY_HOST --user=NAME" first');
  }
  const usable = profiles.filter((profile) => !isExpired(profile));
  if (usable.length === 0) throw expired(profiles[0]!);
  for (const profile of profiles) if (isExpired(profile)) say(`${expired(profile).message}\n`);
  const directory = new ClusterDirectory(usable, tsh.log);
  await directory.ready();
  for (const { profile, reason } of directory.unreachable()) {
    say(`${profile} cannot be reached (${reason}): its apps appear as soon as it can.\n`);
  }
  return directory;
}

function newVnet(tsh: Tsh, tun: TunDevice, directory: ClusterDirectory, addresses: VnetAddresses): VNet {
  const counters = new Counters();
  const own = [addresses.dnsV4, addresses.dnsV6];
  const upstreams = new Upstreams({
    // Read for each question: a changed network counts at once.
    servers: () => withoutServers(parseResolvConf(readFileSync("/etc/resolv.conf", "utf8")), own),
    clock: systemClock,
    counters,
  });
  return new VNet({
    tun,
    directory,
    addresses,
    upstreams,
    counters,
    clock: systemClock,
    random: systemRandom,
    log: tsh.log,
  });
}

export async function runCommand(tsh: Tsh, command: readonly string[]): Promise<void> {
  await using directory = await openDirectory(tsh);
  const addresses = planAddresses(directory.clusters(), systemRandom);
  const run = await runInNamespace({
    command,
    addresses: tunAddresses(addresses),
    routes: addresses.ranges,
    dns: [addresses.dnsV4, addresses.dnsV6],
    mtu: TUN_MTU,
    env: process.env,
  });
  const vnet = newVnet(tsh, run.tun, directory, addresses);
  const served = vnet.run().catch((error: unknown) => {
    say(`VNet ended: ${messageOf(error)}\n`);
    run.kill("SIGTERM");
  });
  const end = await run.exited;
  await vnet.close();
  await served;
  run.tun.close();
  throw new ExitWith(exitCodeOf(end));
}

/** The unprivileged user process behind `sudo tsh vnet`: it holds all keys and parses all hostile bytes. */
export async function serveFromLauncher(tsh: Tsh): Promise<void> {
  const launcher = attachLauncher({ mtu: TUN_MTU });
  const stop = AbortSignal.any([interruption(), launcher.closed]);
  await using directory = await openDirectory(tsh);
  const addresses = planAddresses(directory.clusters(), systemRandom);
  const vnet = newVnet(tsh, launcher.tun, directory, addresses);
  const served = vnet.run(stop);
  const wanted = () => wantedState(directory, addresses);
  await launcher.apply(wanted());
  print("VNet is ready.\n");
  for (const line of zoneLines(directory)) say(line);
  let last = JSON.stringify(wanted());
  directory.onChange(() => {
    const next = JSON.stringify(wanted());
    if (next === last) return;
    last = next;
    launcher.apply(wanted()).catch((error: unknown) => say(`the network could not be changed: ${messageOf(error)}\n`));
  });
  await served;
}

function zoneLines(directory: ClusterDirectory): string[] {
  return directory
    .clusters()
    .map((cluster) => `Serving TCP apps of ${cluster.cluster} below ${zonesOf([cluster]).join(", ")}\n`);
}

function wantedState(directory: ClusterDirectory, addresses: VnetAddresses): WantedState {
  const clusters = directory.clusters();
  return {
    version: 1,
    mtu: TUN_MTU,
    addresses: tunAddresses(addresses),
    ranges: rangesOf(clusters, addresses.tunV6),
    dns: [addresses.dnsV4, addresses.dnsV6],
    zones: zonesOf(clusters),
    proxies: [],
  };
}

function tunAddresses(addresses: VnetAddresses): string[] {
  return [`${addresses.tunV4}/32`, `${addresses.tunV6}/64`];
}
