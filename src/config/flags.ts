import { BadInputError, type Problem, unknownWord } from "../api/mod.ts";
import type { StartFlags } from "./teleport-config.ts";

const SERVICES = ["auth", "proxy", "app"] as const;
/** Roles that Teleport's own flag has and this version does not. */
const NOT_OURS = ["node", "db", "kube", "windowsdesktop", "discovery"];

/** Flags that stand for a key of the section `teleport`. */
const FLAGS: readonly (readonly [flag: keyof StartFlags, spelt: { readonly name: string; readonly key: string }])[] = [
  ["token", { name: "--token", key: "auth_token" }],
  ["authServer", { name: "--auth-server", key: "auth_server" }],
  ["proxyServer", { name: "--proxy-server", key: "proxy_server" }],
  ["caPins", { name: "--ca-pin", key: "ca_pin" }],
  ["nodename", { name: "--nodename", key: "nodename" }],
  ["pidFile", { name: "--pid-file", key: "pid_file" }],
  ["diagAddr", { name: "--diag-addr", key: "diag_addr" }],
  ["dataDir", { name: "--data-dir", key: "data_dir" }],
];

/** A fault in what a flag says is the flag's, and not the file's. */
export function atFlag(problem: Problem, flags: StartFlags): Problem {
  const key = /^teleport\.(\w+)/.exec(problem.path)?.[1];
  const given = FLAGS.find(([flag, spelt]) => spelt.key === key && flags[flag] !== undefined);
  return given === undefined ? problem : { path: given[1].name, message: problem.message };
}

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
  for (const [flag, { key }] of FLAGS) set("teleport", key, flags[flag]);
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
