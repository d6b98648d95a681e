import { Counters, type IpAddress, messageOf, systemClock } from "../../base/mod.ts";
import { expired, isExpired } from "../../client/mod.ts";
import { CommandNotFoundError, requireCommand, runInNamespace, upstreamServers } from "../../host/mod.ts";
import { isolation, Outside } from "../../outside/mod.ts";
import { TUN_MTU } from "../../tun/mod.ts";
import { ExitWith, exitCodeOf, say } from "../cli/program.ts";
import { tunAddresses } from "./host-side.ts";
import type { Tsh } from "./session.ts";
import { newVnet, openAddresses, openDirectory } from "./vnet.ts";
import { serveMetrics } from "./vnet-metrics.ts";
import { offerStatus } from "./vnet-status.ts";

export interface ExecFlags {
  readonly isolated: boolean;
  readonly mapHostLoopback?: IpAddress;
  readonly diagAddr?: string;
}

/** All of it: VNet tells its own addresses, which change while it runs, from the others. */
const EVERYWHERE = ["0.0.0.0/0", "::/0"];

/** Runs one command whose only network is VNet and, unless it is isolated, what lies beyond on the host's side. */
export async function runCommand(tsh: Tsh, command: readonly string[], flags: ExecFlags): Promise<void> {
  requireOrExit(command[0]!);
  const profiles = await tsh.store.all().catch(() => []);
  // The command would meet refusals only; a VNet of the host may wait for the next login.
  if (profiles.length > 0 && profiles.every((profile) => isExpired(profile))) throw expired(profiles[0]!);
  await using directory = await openDirectory(tsh);
  const { file, addresses } = openAddresses(tsh, directory);
  await using store = file;
  const run = await runInNamespace({
    command,
    addresses: tunAddresses(addresses),
    routes: EVERYWHERE,
    dns: [addresses.dnsV4, addresses.dnsV6],
    mtu: TUN_MTU,
    env: process.env,
  });
  const { tun } = run;
  const counters = new Counters();
  const outside = flags.isolated ? isolation(counters) : newOutside(counters, flags);
  const { vnet, upstreams } = newVnet(tsh, {
    tun,
    directory,
    addresses,
    store,
    counters,
    outside,
    servers: upstreamServers,
  });
  const served = vnet.run().catch((error: unknown) => {
    say(`VNet ended: ${messageOf(error)}\n`);
    run.kill("SIGTERM");
  });
  await using _ = await offerStatus(tsh, {
    kind: "exec",
    command: { line: command, pid: run.pid },
    ...{ tun, addresses, directory, upstreams, vnet },
  });
  await using _metrics = await serveMetrics(flags.diagAddr, { vnet, directory, upstreams });
  const end = await run.exited;
  await vnet.close();
  await served;
  tun.close();
  throw new ExitWith(exitCodeOf(end));
}

function newOutside(counters: Counters, { mapHostLoopback }: ExecFlags): Outside {
  return new Outside({ clock: systemClock, counters, ...(mapHostLoopback && { hostLoopback: mapHostLoopback }) });
}

function requireOrExit(command: string): void {
  try {
    requireCommand(command);
  } catch (error) {
    if (!(error instanceof CommandNotFoundError)) throw error;
    say(`ERROR: ${error.message}\n`);
    throw new ExitWith(error.exitCode);
  }
}
