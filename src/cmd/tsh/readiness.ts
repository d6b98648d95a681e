import { lookup } from "node:dns/promises";
import { networkInterfaces } from "node:os";
import { systemClock, systemRandom } from "../../base/mod.ts";
import type { HostReport } from "../../host/mod.ts";
import type { TunDevice } from "../../tun/mod.ts";
import { type Directory, Readiness, type VnetAddresses, zonesOf } from "../../vnet/mod.ts";
import { print, say } from "../cli/program.ts";
import { type HostSide, isZone } from "./host-side.ts";

export interface Watched {
  readonly host: HostSide;
  readonly directory: Directory;
  readonly addresses: VnetAddresses;
  readonly tun: TunDevice;
  readonly latest: () => HostReport;
  /** Of each change: why names are not found, or that they are. */
  readonly told: (problem: string | undefined) => void;
}

/** Says that VNet is ready when the machine's own resolver finds its names, and when that changes. */
export function watchReadiness(
  { host, directory, addresses, tun, latest, told }: Watched,
  stop: AbortSignal,
): Promise<void> {
  let wasReady = false;
  const readiness = new Readiness({
    clock: systemClock,
    random: systemRandom,
    lookup: lookupV4,
    // With `none` it is the person who sees to it; what to do they have been told.
    zone: () => (latest().dns.manager === "none" ? undefined : zonesOf(directory.clusters()).find(isZone)),
    answer: addresses.dnsV4,
    network: () => networkText(tun.name, latest()),
    mend: () => host.mend(),
    tell: (problem) => {
      told(problem);
      if (problem !== undefined) {
        const state = wasReady ? "VNet's names are not found any more" : "VNet runs, but its names are not found";
        say(`${state}: this machine's resolver was asked, and ${problem}. "tsh vnet diag" says more.\n`);
      } else if (wasReady) {
        say("VNet's names are found again.\n");
      } else {
        wasReady = true;
        print("VNet is ready.\n");
        host.tellZones();
      }
    },
  });
  return readiness.run(stop);
}

/** This machine's own resolver, whatever it is (getaddrinfo); a name that is not there has no addresses. */
async function lookupV4(name: string): Promise<string[]> {
  const found = await lookup(name, { all: true, family: 4 }).catch(() => []);
  return found.map(({ address }) => address);
}

/** What a change of network changes: the interfaces' addresses, but for our own device's, and the name servers. */
function networkText(device: string, { upstreams, dns }: HostReport): string {
  const { [device]: _, ...others } = networkInterfaces();
  const addresses = Object.values(others).flatMap((each = []) => each.map(({ cidr }) => cidr));
  return JSON.stringify([addresses.sort(), upstreams, dns.manager]);
}
