import { readFileSync } from "node:fs";
import { type DnsManager, dnsManagers, type ResolverFacts } from "./dns-manager.ts";
import { FileResolver, NoResolver } from "./file-resolver.ts";
import type { Os } from "./os.ts";
import type { ResolvConfPaths } from "./resolv-conf.ts";
import { Resolvconf } from "./resolvconf.ts";
import { Resolved } from "./resolved.ts";
import type { HostResolver } from "./resolver.ts";

/** The resolvers to try on this host, best first; only the one that is `wanted`, if any. */
export async function hostResolvers(os: Os, paths: ResolvConfPaths, wanted?: DnsManager): Promise<HostResolver[]> {
  const managers = wanted === undefined ? dnsManagers(await resolverFacts(os, paths)) : [wanted];
  return managers.map((manager) => resolverOf(manager, os, paths));
}

function resolverOf(manager: DnsManager, os: Os, paths: ResolvConfPaths): HostResolver {
  switch (manager) {
    case "systemd-resolved":
      return new Resolved(os);
    case "openresolv":
    case "resolvconf":
      return new Resolvconf(manager, async (args, input) => void (await os.resolvconf(args, input)), paths.conf);
    case "file":
      return new FileResolver(paths, () => os.restoreResolvConf());
    case "none":
      return new NoResolver(paths);
  }
}

async function resolverFacts(os: Os, paths: ResolvConfPaths): Promise<ResolverFacts> {
  return {
    resolvConf: textOf(paths.conf),
    nsswitch: textOf("/etc/nsswitch.conf"),
    resolvconf: programOf(await os.resolvconf(["--version"], "").catch(() => "")),
  };
}

/** systemd has a program of that name too, which speaks to systemd-resolved: that one is not meant. */
function programOf(version: string): ResolverFacts["resolvconf"] {
  if (version.startsWith("openresolv")) return "openresolv";
  return version.startsWith("Debian resolvconf") ? "resolvconf" : undefined;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
