/**
 * Wanted state of the operating system to actions: addresses, routes and rules
 * by `ip`, names by whoever keeps this host's resolver (systemd-resolved over
 * D-Bus, resolvconf, else `/etc/resolv.conf` itself). What is wanted is data and what follows
 * from it is a pure function; undoing everything is a shell script, so that it
 * outlives us. Deliberately absent: who wants it, and the TUN itself.
 */
export { DNS_MANAGERS, type DnsManager } from "./dns-manager.ts";
export { DBusError, OsCommandError, ResolvConfError, StateRefusedError } from "./errors.ts";
export { HostConfig, type HostConfigOptions, type HostReport } from "./host-config.ts";
export { hostResolvers } from "./host-resolvers.ts";
export { COMMAND_MS } from "./limits.ts";
export type { Os } from "./os.ts";
export { type HostFacts, refusal, type TakenRange } from "./policy.ts";
export { applyResolvConf, formerServers, type ResolvConfPaths, resolvConfPaths } from "./resolv-conf.ts";
export type { HostResolver } from "./resolver.ts";
export { EMPTY_STATE, parseWantedState, STATE_VERSION, type WantedState } from "./state.ts";
export { TUN_ROUTE } from "./table.ts";
export { undoScript } from "./undo.ts";
