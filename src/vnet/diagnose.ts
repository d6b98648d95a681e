import { messageOf, type Random } from "../base/mod.ts";
import { parseRange } from "./addresses.ts";
import type { Finding } from "./explain.ts";
import { conflicts } from "./free-ranges.ts";
import { newProbe } from "./probe.ts";
import type { ClusterStatus, VnetStatus } from "./status.ts";
import { normalizeHost } from "./zones.ts";

/** One thing that was looked at. */
export interface DiagFinding {
  readonly check: "device" | "route" | "conflict" | "dns-server" | "resolver" | "zone" | "upstream" | "login";
  /** What of it: a device, a range, `100.64.0.2 udp`, a zone, a cluster. */
  readonly subject: string;
  readonly ok: boolean;
  readonly detail: string;
  /** What to do, where something is wrong. */
  readonly advice?: string;
}

/** How the machine is asked. */
export interface DiagTools {
  readonly random: Random;
  /** Its IPv4 and IPv6 addresses, and whether it is up; `undefined`: there is none of this name. */
  device(name: string): Promise<{ up: boolean; addresses: readonly string[] } | undefined>;
  /** Does the kernel send packets for `address` to the device? */
  routeTo(address: string, device: string): Promise<Finding>;
  /** The addresses that this DNS server answers. */
  lookupAt(server: string, name: string, family: 4 | 6, transport: "udp" | "tcp"): Promise<readonly string[]>;
  /** Those that the machine's own resolver finds; none where the name does not exist. */
  lookup(name: string, family: 4 | 6): Promise<readonly string[]>;
}

/** Below no zone of anybody: only VNet's own server knows it. */
const PROBE_ZONE = "test";

/** Looks at a running VNet from outside: its device, routes, DNS server by each transport, and each zone. */
export async function diagnose(status: VnetStatus, tools: DiagTools): Promise<DiagFinding[]> {
  const logins = status.clusters.map(loginFinding);
  const upstreams = upstreamFindings(status);
  // The network of a command is its own: neither this machine's kernel nor its resolver knows of it.
  if (status.kind === "exec") return [...logins, ...upstreams];
  const device = await deviceFinding(status, tools);
  const [routes, servers] = await Promise.all([routeFindings(status, tools), serverFindings(status, tools)]);
  const answers = servers.some(({ ok }) => ok);
  const zones = answers ? await zoneFindings(status, tools) : [];
  return [
    device,
    ...routes,
    ...conflictFindings(status),
    ...servers,
    ...resolverFinding(status),
    ...zones,
    ...upstreams,
    ...logins,
  ];
}

async function deviceFinding({ device, addresses }: VnetStatus, tools: DiagTools): Promise<DiagFinding> {
  const found = await tools.device(device.name);
  const base = { check: "device", subject: device.name } as const;
  const restart = 'start VNet again; if it happens again, "tsh vnet --debug" says what was done';
  if (!found) return { ...base, ok: false, detail: "the device is not there", advice: restart };
  const up = `ip link set ${device.name} up, or start VNet again`;
  if (!found.up) return { ...base, ok: false, detail: "the device is down", advice: up };
  const [v4] = addresses.tun;
  const has = v4 !== undefined && found.addresses.includes(v4);
  if (!has) return { ...base, ok: false, detail: `the device has lost its address ${v4}`, advice: restart };
  return { ...base, ok: true, detail: `up, with ${found.addresses.join(", ")}` };
}

/** By the DNS server and one address of each range. */
async function routeFindings(status: VnetStatus, tools: DiagTools): Promise<DiagFinding[]> {
  const ranges = [...new Set(status.clusters.map(({ ipv4_cidr }) => ipv4_cidr))].filter((text) => parseRange(text));
  const probes = new Map(status.addresses.dns.map((address) => [address, address]));
  for (const range of ranges) {
    const known = status.names.find(({ v4 }) => conflicts(range, [{ range: `${v4}/32`, by: "" }]).length > 0);
    if (known) probes.set(range, known.v4);
  }
  const all = [...probes].map(async ([subject, address]): Promise<DiagFinding> => {
    const { ok, detail } = await tools.routeTo(address, status.device.name);
    const advice = '"ip rule" and "ip route get" show who takes it; VNet started with --ipv4-cidr uses another range';
    return { check: "route", subject, ok, detail, ...(!ok && { advice }) };
  });
  return Promise.all(all);
}

/** Ranges of others that overlap what VNet uses now. */
function conflictFindings({ clusters, taken = [] }: VnetStatus): DiagFinding[] {
  const used = [...new Set(clusters.map(({ ipv4_cidr }) => ipv4_cidr))];
  return used.map((range): DiagFinding => {
    const found = conflicts(range, taken);
    const base = { check: "conflict", subject: range } as const;
    if (found.length === 0) return { ...base, ok: true, detail: "nobody else on this machine uses it" };
    const detail = found.map(({ range: other, by }) => `${other} is used by ${by}`).join(", ");
    return { ...base, ok: false, detail, advice: "start VNet with --ipv4-cidr and a range that is free" };
  });
}

async function serverFindings(status: VnetStatus, tools: DiagTools): Promise<DiagFinding[]> {
  const ways = status.addresses.dns.flatMap((server) =>
    (["udp", "tcp"] as const).map((transport) => ({ server, transport })),
  );
  const all = ways.map(async ({ server, transport }): Promise<DiagFinding> => {
    const base = { check: "dns-server", subject: `${server} ${transport}` } as const;
    const advice = `packets to ${server} port 53 do not come to VNet: look at the routes above, and at firewall rules`;
    try {
      const found = await tools.lookupAt(server, newProbe(PROBE_ZONE, tools.random), 4, transport);
      if (found.includes(status.addresses.dns[0]!)) return { ...base, ok: true, detail: "VNet answers" };
      return { ...base, ok: false, detail: "somebody else answers there", advice };
    } catch (error) {
      return { ...base, ok: false, detail: messageOf(error), advice };
    }
  });
  return Promise.all(all);
}

function resolverFinding({ resolver }: VnetStatus): DiagFinding[] {
  if (resolver === undefined) return [];
  const { manager, note } = resolver;
  const base = { check: "resolver", subject: manager } as const;
  if (manager !== "none") {
    if (note === undefined) return [{ ...base, ok: true, detail: "it was told of VNet's zones" }];
    return [{ ...base, ok: false, detail: note, advice: "--dns-manager chooses another way to tell it" }];
  }
  const advice = note ?? "have it ask VNet's DNS server for the zones below";
  return [{ ...base, ok: false, detail: "nobody tells this machine's resolver of VNet", advice }];
}

/** Each zone by this machine's own resolver, in both families. */
async function zoneFindings(status: VnetStatus, tools: DiagTools): Promise<DiagFinding[]> {
  const zones = [
    ...new Set(status.clusters.flatMap(({ zones, proxies }) => [...zones, ...proxies]).map(normalizeHost)),
  ];
  const named = zones.filter((zone) => zone.includes(".") && !/^[\d.]+$|:/.test(zone));
  return Promise.all(named.map((zone) => zoneFinding(zone, status, tools)));
}

async function zoneFinding(zone: string, { addresses, resolver }: VnetStatus, tools: DiagTools): Promise<DiagFinding> {
  const base = { check: "zone", subject: zone } as const;
  const name = newProbe(zone, tools.random);
  try {
    const [v4, v6] = await Promise.all([tools.lookup(name, 4), tools.lookup(name, 6)]);
    const ours = addresses.dns;
    const foreign = [...v4, ...v6].filter((address) => !ours.includes(address));
    if (foreign.length > 0) {
      const advice = "another program answers for this zone before VNet: a VPN's resolver, or /etc/hosts";
      return { ...base, ok: false, detail: `somebody else answers, with ${foreign.join(", ")}`, advice };
    }
    if (v4.length > 0)
      return {
        ...base,
        ok: true,
        detail: `found by this machine's resolver${v6.length > 0 ? ", in both families" : ""}`,
      };
    const how =
      resolver?.manager === "systemd-resolved"
        ? '"resolvectl domain" shows which zones it knows'
        : "look at /etc/resolv.conf";
    const advice = `${how}; VNet's DNS server is ${ours.join(" and ")}`;
    return { ...base, ok: false, detail: "this machine's resolver does not ask VNet for it", advice };
  } catch (error) {
    return { ...base, ok: false, detail: messageOf(error), advice: "look at the upstream servers below" };
  }
}

function upstreamFindings({ upstreams }: VnetStatus): DiagFinding[] {
  if (upstreams.length === 0) {
    const detail = "no DNS server of this machine is known: only VNet's own names are found";
    return [{ check: "upstream", subject: "none", ok: false, detail, advice: "look at /etc/resolv.conf" }];
  }
  return upstreams.map(({ address, failed }) => ({
    check: "upstream",
    subject: address,
    ok: !failed,
    detail: failed ? "did not answer, or refused, within the last 30 s" : "no trouble lately",
    ...(failed && { advice: `"dig @${address} example.com" shows whether it works` }),
  }));
}

function loginFinding({ cluster, profile, login }: ClusterStatus): DiagFinding {
  const base = { check: "login", subject: cluster } as const;
  if (login === "valid") return { ...base, ok: true, detail: `logged in by ${profile}` };
  const advice = `tsh login --proxy=${profile}`;
  return { ...base, ok: false, detail: "the login has expired: its apps are not reachable", advice };
}
