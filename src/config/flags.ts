import { BadInputError, unknownWord } from "../api/mod.ts";
import type { StartFlags } from "./teleport-config.ts";

const SERVICES = ["auth", "proxy", "app"] as const;
/** Roles that Teleport's own flag has and this version does not. */
const NOT_OURS = ["node", "db", "kube", "windowsdesktop", "discovery"];

/** The file's value with the flags written over it, so that one schema checks both. */
export function withFlags(value: unknown, flags: StartFlags): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const config: Record<string, unknown> = { ...value };
  const set = (section: string, key: string, to: unknown) => {
    if (to === undefined) return;
    const old = config[section];
    config[section] = { ...(typeof old === "object" ? old : {}), [key]: to };
  };
  const unset = (key: string) => {
    const { [key]: _, ...rest } = (config.teleport ?? {}) as Record<string, unknown>;
    if (config.teleport !== undefined) config.teleport = rest;
  };
  if (flags.token !== undefined) unset("join_params");
  if (flags.authServer !== undefined) unset("proxy_server");
  if (flags.proxyServer !== undefined) unset("auth_server");
  set("teleport", "auth_token", flags.token);
  set("teleport", "auth_server", flags.authServer);
  set("teleport", "proxy_server", flags.proxyServer);
  set("teleport", "ca_pin", flags.caPins);
  set("teleport", "nodename", flags.nodename);
  set("teleport", "pid_file", flags.pidFile);
  set("teleport", "diag_addr", flags.diagAddr);
  set("teleport", "data_dir", flags.dataDir);
  const roles = flags.roles;
  if (roles !== undefined) {
    checkRoles(roles);
    for (const service of SERVICES) set(`${service}_service`, "enabled", roles.includes(service));
  }
  return config;
}

function checkRoles(roles: readonly string[]): void {
  for (const role of roles) {
    if (NOT_OURS.includes(role)) throw new BadInputError(`--roles: this version does not have the role "${role}"`);
    if (SERVICES.some((service) => service === role)) continue;
    throw new BadInputError(`--roles: ${unknownWord("role", role, SERVICES)} (one of ${SERVICES.join(", ")})`);
  }
}
