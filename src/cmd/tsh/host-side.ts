import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { ClusterView } from "../../api/mod.ts";
import { messageOf, sleep } from "../../base/mod.ts";
import type { AttachedLauncher, HostReport, WantedState } from "../../host/mod.ts";
import { TUN_MTU } from "../../tun/mod.ts";
import { type Directory, rangesOf, type VnetAddresses, zonesOf } from "../../vnet/mod.ts";
import { say } from "../cli/program.ts";

/** For the addresses of all proxies; whoever has none by then is not protected, and cannot be reached either. */
const LOOKUP_MS = 1_000;
/** What the launcher accepts (PROTOCOL section 6). */
const MAX_ZONES = 64;
const MAX_PROXIES = 64;

/** The addresses of the TUN, in CIDR text. */
export function tunAddresses(addresses: VnetAddresses): string[] {
  return [`${addresses.tunV4}/32`, `${addresses.tunV6}/64`];
}

/** Keeps the host as the clusters want it, through the launcher, and tells the person which zones are served. */
export class HostSide {
  readonly #launcher: AttachedLauncher;
  readonly #directory: Directory;
  readonly #addresses: VnetAddresses;
  readonly #ipv6: boolean;
  #ranges: readonly string[];
  #applied = "";
  #last = Promise.resolve();
  #note: string | undefined;
  readonly #told = new Map<string, string>();

  /** `ipv6`: whether names have IPv6 addresses. */
  constructor(launcher: AttachedLauncher, directory: Directory, addresses: VnetAddresses, o: { ipv6: boolean }) {
    this.#launcher = launcher;
    this.#directory = directory;
    this.#addresses = addresses;
    this.#ipv6 = o.ipv6;
    this.#ranges = addresses.ranges;
  }

  /** @throws {LauncherError} with the launcher's reason */
  async start(): Promise<void> {
    await this.#update();
    this.#tellNote(this.#launcher.latest);
    this.#launcher.onReport((report) => this.#tellNote(report));
    this.#directory.onChange(() => void this.#inOrder(() => this.#follow()));
  }

  /** One after the other, so that the newest state comes last. */
  #inOrder(work: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(work);
    return this.#last;
  }

  /** Asks the launcher for the present state once more, though it has that already. */
  async mend(): Promise<void> {
    this.#applied = "";
    await this.#inOrder(() => this.#follow());
  }

  /** Says which zones are served, of the clusters of which that is new. */
  tellZones(): void {
    for (const cluster of this.#directory.clusters()) {
      const zones = zonesOf([cluster]).join(", ");
      if (this.#told.get(cluster.cluster) === zones) continue;
      this.#told.set(cluster.cluster, zones);
      say(`Serving TCP apps of ${cluster.cluster} below ${zones}\n`);
    }
  }

  /** What the launcher found out about the host's resolver, once. */
  #tellNote(report: HostReport | undefined): void {
    const note = report?.dns.note;
    if (note === undefined || note === this.#note) return;
    this.#note = note;
    say(`${note}\n`);
  }

  async #follow(): Promise<void> {
    try {
      await this.#update();
      this.tellZones();
    } catch (error) {
      if (!this.#launcher.closed.aborted) say(`the network could not be changed: ${messageOf(error)}\n`);
    }
  }

  async #update(): Promise<void> {
    const clusters = this.#directory.clusters();
    const ranges = rangesOf(clusters, this.#addresses.tunV6, this.#ranges);
    const proxies = await proxyAddresses(clusters);
    const state = { ...wantedState(clusters, this.#addresses), ranges, proxies };
    const wanted = this.#ipv6 ? state : ipv4Of(state);
    const text = JSON.stringify(wanted);
    if (text === this.#applied) return;
    await this.#launcher.apply(wanted);
    this.#ranges = ranges;
    this.#applied = text;
  }
}

function ipv4Of(state: WantedState): WantedState {
  const ipv4 = (texts: readonly string[]) => texts.filter((text) => !text.includes(":"));
  return { ...state, addresses: ipv4(state.addresses), ranges: ipv4(state.ranges), dns: ipv4(state.dns) };
}

function wantedState(clusters: readonly ClusterView[], addresses: VnetAddresses): WantedState {
  return {
    version: 1,
    mtu: TUN_MTU,
    addresses: tunAddresses(addresses),
    ranges: [],
    dns: [addresses.dnsV4, addresses.dnsV6],
    zones: zonesOf(clusters).filter(isZone).slice(0, MAX_ZONES),
    proxies: [],
  };
}

/** A proxy may be called `localhost` or by its address, which the host's resolver cannot send to VNet. */
export function isZone(name: string): boolean {
  return name.includes(".") && isIP(name) === 0;
}

/** Where the proxies are now: no range may take the way to them. */
async function proxyAddresses(clusters: readonly ClusterView[]): Promise<string[]> {
  const hosts = [...new Set(clusters.flatMap((cluster) => cluster.proxyHosts))];
  const found = await Promise.all(
    hosts.map((host) => Promise.race([lookup(host, { all: true }).catch(() => []), sleep(LOOKUP_MS).then(() => [])])),
  );
  const addresses = found.flat().map(({ address }) => address);
  return [...new Set(addresses)].sort().slice(0, MAX_PROXIES);
}
