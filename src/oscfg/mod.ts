/**
 * Wanted state of the operating system to actions: addresses, routes and rules
 * by `ip`, names by whoever keeps this host's resolver (systemd-resolved over
 * D-Bus, resolvconf, else `/etc/resolv.conf` itself). What is wanted is data and what follows
 * from it is a pure function; undoing everything is a shell script, so that it
 * outlives us. Deliberately absent: who wants it, and the TUN itself.
 */
export type { DnsManager } from "./dns-manager.ts";
export { DBusError, OsCommandError, ResolvConfError, StateRefusedError } from "./errors.ts";
export { HostConfig, type HostReport } from "./host-config.ts";
export { hostResolvers } from "./host-resolvers.ts";
export { COMMAND_MS } from "./limits.ts";
export type { Os } from "./os.ts";
export type { TakenRange } from "./policy.ts";
export { formerServers, type ResolvConfPaths, resolvConfPaths } from "./resolv-conf.ts";
export type { WantedState } from "./state.ts";
export { TUN_ROUTE } from "./table.ts";
export { undoScript } from "./undo.ts";
