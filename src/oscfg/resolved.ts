import { formatIp, isMalformed, parseIp } from "../base/mod.ts";
import { DBus, type DBusTarget } from "./dbus.ts";
import type { DBusValue } from "./dbus-values.ts";
import { DBusError } from "./errors.ts";
import { MAX_LINK_DOMAINS } from "./limits.ts";
import type { HostResolver, WantedDns } from "./resolver.ts";
import { reverseZones } from "./reverse-zones.ts";

const SERVICE = "org.freedesktop.resolve1";
const MANAGER: DBusTarget = {
  destination: SERVICE,
  path: "/org/freedesktop/resolve1",
  interface: `${SERVICE}.Manager`,
};
/** `AF_INET` and `AF_INET6`. */
const FAMILIES: Readonly<Record<number, number>> = { 4: 2, 16: 10 };

/** Of the manager's lists `DNS` and `Domains`. */
type LinkServer = readonly [index: number, family: number, octets: Uint8Array];
type LinkDomain = readonly [index: number, name: string, routeOnly: boolean];

const isRoot = (name: string) => name === "" || name === ".";

/** Of the kernel. */
export interface Links {
  /** Index of a device; `undefined` where there is none of that name. */
  indexOf(device: string): Promise<number | undefined>;
  nameOf(index: number): Promise<string | undefined>;
}

/** What is needed of the system bus; the connection ends with this process. */
export type Bus = Pick<DBus, "call" | "property" | "properties" | "closed">;

/**
 * Split DNS by systemd-resolved: VNet's zones are asked on VNet's device, all
 * else where it was asked before. The settings live as long as the device.
 */
export class Resolved implements HostResolver {
  readonly manager = "systemd-resolved";
  readonly #links: Links;
  readonly #connect: () => Promise<Bus>;
  #bus: Bus | undefined;
  #device = "";

  constructor(links: Links, connect: () => Promise<Bus> = () => DBus.connect()) {
    this.#links = links;
    this.#connect = connect;
  }

  async apply(wanted: WantedDns): Promise<void> {
    const index = await this.#indexOf(wanted.device);
    this.#device = wanted.device;
    // The order matters: a link with servers and no domains yet is asked for everything.
    await this.#set("SetLinkDefaultRoute", "ib", [index, false]);
    for (const method of ["SetLinkLLMNR", "SetLinkMulticastDNS", "SetLinkDNSSEC", "SetLinkDNSOverTLS"]) {
      await this.#set(method, "is", [index, "no"]);
    }
    await this.#set("SetLinkDomains", "ia(sb)", [index, domainsOf(wanted)]);
    await this.#set("SetLinkDNS", "ia(iay)", [index, serversOf(wanted)]);
    // What was asked before VNet came may have been denied.
    await this.#set("FlushCaches", "", []);
  }

  async isApplied(wanted: WantedDns): Promise<boolean> {
    const index = await this.#indexOf(wanted.device);
    const link = await (await this.#connected()).properties(await this.#link(index));
    const same = (name: string, expected: DBusValue) => textOf(link.get(name) ?? []) === textOf(expected);
    return same("Domains", domainsOf(wanted)) && same("DNS", serversOf(wanted)) && link.get("DefaultRoute") === false;
  }

  async revert(device: string): Promise<void> {
    const index = await this.#links.indexOf(device);
    if (index === undefined) return;
    await this.#set("RevertLink", "i", [index]);
    await this.#set("FlushCaches", "", []);
  }

  /**
   * Those that are asked about names in general: on the links with the domain
   * `~.`, if there are any (a VPN for everything), else of no link, or of links
   * that are not for their own domains only. The manager's list holds VNet's too.
   */
  async upstreams(): Promise<string[]> {
    const bus = await this.#connected();
    const [listed, domains] = await Promise.all([bus.property(MANAGER, "DNS"), bus.property(MANAGER, "Domains")]);
    const own = await this.#links.indexOf(this.#device);
    const foreign = (listed as readonly LinkServer[]).filter(([index]) => index !== own);
    const forAll = await this.#forAll(foreign, domains as readonly LinkDomain[]);
    const servers = foreign.filter(([index]) => forAll.includes(index));
    const found =
      servers.length > 0 ? servers : ((await bus.property(MANAGER, "FallbackDNS")) as readonly LinkServer[]);
    return [...new Set(await Promise.all(found.map(([index, , octets]) => this.#scoped(index, octets))))];
  }

  /** Of the links with these servers, 0 standing for none. */
  async #forAll(servers: readonly LinkServer[], domains: readonly LinkDomain[]): Promise<number[]> {
    const indexes = [...new Set(servers.map(([index]) => index))];
    const everything = indexes.filter((index) =>
      domains.some(([of, name, route]) => of === index && route && isRoot(name)),
    );
    if (everything.length > 0) return everything;
    const bus = await this.#connected();
    const isDefault = async (index: number) =>
      index === 0 || (await bus.property(await this.#link(index), "DefaultRoute")) === true;
    const asked = await Promise.all(indexes.map(isDefault));
    return indexes.filter((_, i) => asked[i]);
  }

  async #scoped(index: number, octets: Uint8Array): Promise<string> {
    const text = formatIp(octets);
    if (!text.startsWith("fe80:")) return text;
    return `${text}%${(await this.#links.nameOf(index)) ?? index}`;
  }

  async #indexOf(device: string): Promise<number> {
    const index = await this.#links.indexOf(device);
    if (index === undefined) throw new DBusError(`there is no network device ${device}`);
    return index;
  }

  async #link(index: number): Promise<DBusTarget> {
    const [path] = await (await this.#connected()).call(MANAGER, "GetLink", "i", [index]);
    return { destination: SERVICE, path: String(path), interface: `${SERVICE}.Link` };
  }

  async #set(method: string, signature: string, args: readonly DBusValue[]): Promise<void> {
    try {
      await (await this.#connected()).call(MANAGER, method, signature, args);
    } catch (error) {
      // Older versions lack some of the switches, and with them what they switch.
      if (!(error instanceof DBusError) || error.errorName !== "org.freedesktop.DBus.Error.UnknownMethod") throw error;
    }
  }

  async #connected(): Promise<Bus> {
    if (this.#bus === undefined || this.#bus.closed) this.#bus = await this.#connect();
    return this.#bus;
  }
}

/** `true`: only a route for names, never a suffix to try. */
function domainsOf({ zones, ranges }: WantedDns): (readonly [string, boolean])[] {
  return [...zones, ...ranges.flatMap(reverseZones)].slice(0, MAX_LINK_DOMAINS).map((zone) => [zone, true] as const);
}

function serversOf({ servers }: WantedDns): (readonly [number, Uint8Array])[] {
  return servers.flatMap((text) => {
    const address = parseIp(text);
    return isMalformed(address) ? [] : [[FAMILIES[address.length]!, address] as const];
  });
}

function textOf(value: DBusValue): string {
  return JSON.stringify(value, (_, part) => (part instanceof Uint8Array ? [...part] : (part as unknown)));
}
