import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import type { Command } from "commander";
import { Counters, messageOf, systemClock, systemRandom } from "../../base/mod.ts";
import { ClusterDirectory, expired, isExpired, NotLoggedInError } from "../../client/mod.ts";
import { parseResolvConf, Upstreams, withoutServers } from "../../dns/mod.ts";
import { attachLauncher, launch, runInNamespace, type WantedState } from "../../host/mod.ts";
import { TUN_MTU, type TunDevice } from "../../tun/mod.ts";
import { planAddresses, rangesOf, VNet, type VnetAddresses, zonesOf } from "../../vnet/mod.ts";
import { ExitWith, interruption, print, say, UsageError } from "../cli/program.ts";
import type { Tsh } from "./session.ts";

/** Run by the root launcher under the user's own uid; nobody types it. */
const USER_PROCESS = "vnet-user-process";

export function addVnetCommands(program: Command, tsh: Tsh): void {
  const vnet = program
    .command("vnet")
    .description("reach every TCP app of every cluster you are logged in to by its DNS name, from any program")
    .option("--all-users", "let every user of this machine in, not only you", false)
    .action((o: { allUsers: boolean }) => serveHost(tsh, o.allUsers));
  vnet
    .command("exec")
    .description(
      "run one command with VNet, without root, in a network of its own. " +
        "For now only VNet's apps and DNS are reachable inside: no other network, not even this machine's.",
    )
    .usage("-- COMMAND [ARGUMENTS...]")
    .argument("<command...>")
    .passThroughOptions()
    .action((command: string[]) => exec(tsh, command));
  // `exec` passes options through, which commander wants its parents to know.
  vnet.enablePositionalOptions();
  program.enablePositionalOptions();
  program.command(USER_PROCESS, { hidden: true }).action(() => serveFromLauncher(tsh));
}

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

async function exec(tsh: Tsh, command: readonly string[]): Promise<void> {
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

/** As a shell reports it. */
function exitCodeOf(end: { code: number | null; signal: NodeJS.Signals | null }): number {
  if (end.code !== null) return end.code;
  return 128 + (end.signal === null ? 0 : constants.signals[end.signal]);
}

/** `sudo tsh vnet`, or `tsh vnet` which asks sudo itself. */
async function serveHost(tsh: Tsh, allUsers: boolean): Promise<void> {
  if (process.getuid?.() !== 0) throw new ExitWith(await again("sudo"));
  const self = [process.execPath, ...process.execArgv, process.argv[1]!];
  const flags = [...(tsh.options.insecure ? ["--insecure"] : []), ...(tsh.options.debug ? ["--debug"] : [])];
  const code = await launch({
    command: [...self, ...flags, USER_PROCESS],
    env: process.env,
    allUsers,
    log: tsh.log,
    signal: interruption(),
  });
  if (code !== 0) throw new ExitWith(code);
}

/** The same command under sudo, which keeps the terminal and asks for the password itself. */
function again(sudo: string): Promise<number> {
  const kept = "TELEPORT_HOME,TELEPORT_DEBUG,SSL_CERT_FILE,SSL_CERT_DIR";
  const args = [`--preserve-env=${kept}`, "--", process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  return new Promise((resolve, reject) => {
    const child = spawn(sudo, args, { stdio: "inherit" });
    // Ctrl-C reaches both through the terminal; this side waits for the other's clean end.
    process.on("SIGINT", () => {});
    process.on("SIGTERM", () => child.kill("SIGTERM"));
    child.on("error", (cause) =>
      reject(new UsageError(`VNet needs root for the network device, and ${sudo} cannot be run: ${cause.message}`)),
    );
    child.on("exit", (code, signal) => resolve(exitCodeOf({ code, signal })));
  });
}

async function serveFromLauncher(tsh: Tsh): Promise<void> {
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
