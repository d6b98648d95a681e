import { nameservers } from "./resolv-conf.ts";

/** Who decides on this host where names are asked, and so whom VNet tells. */
export type DnsManager = "systemd-resolved" | "openresolv" | "resolvconf" | "file" | "none";

/** What the choice depends on. */
export interface ResolverFacts {
  /** Contents of `/etc/resolv.conf`; empty where there is none. */
  readonly resolvConf: string;
  /** Contents of `/etc/nsswitch.conf`; empty where there is none. */
  readonly nsswitch: string;
  /** Which program `resolvconf` is. */
  readonly resolvconf: "openresolv" | "resolvconf" | undefined;
}

/**
 * Whom to try, best first; who turns out not to work gives way to the next.
 * systemd-resolved only where it is asked at all, be it by glibc or by its stub,
 * resolvconf only where it wrote `resolv.conf`. NetworkManager without
 * systemd-resolved is no manager of ours: it ignores foreign devices, so the
 * file is written, and written again when NetworkManager did.
 */
export function dnsManagers(facts: ResolverFacts): DnsManager[] {
  const resolved = asksResolved(facts) ? (["systemd-resolved"] as const) : [];
  const program = facts.resolvconf;
  const resolvconf = program !== undefined && writtenByResolvconf(facts.resolvConf) ? [program] : [];
  return [...resolved, ...resolvconf, "file", "none"];
}

/** systemd-resolved's own addresses (systemd-resolved.service(8)). */
const STUBS = ["127.0.0.53", "127.0.0.54"];

function asksResolved({ resolvConf, nsswitch }: ResolverFacts): boolean {
  const servers = nameservers(resolvConf);
  if (servers.length > 0 && servers.every((server) => STUBS.includes(server))) return true;
  const sources = /^hosts:(.*)$/m.exec(nsswitch)?.[1]?.split(/\s+/) ?? [];
  const [resolve, dns] = ["resolve", "dns"].map((source) => sources.indexOf(source)) as [number, number];
  return resolve >= 0 && (dns < 0 || resolve < dns);
}

/**
 * By the comments at the head, as Tailscale does. Not by "systemd-resolved" in
 * them: Debian's resolvconf explains there what 127.0.0.53 is.
 */
function writtenByResolvconf(text: string): boolean {
  const lines = text.split("\n");
  const end = lines.findIndex((line) => !line.startsWith("#"));
  return lines.slice(0, end < 0 ? undefined : end).some((line) => /resolvconf(?!\w)/.test(line));
}
