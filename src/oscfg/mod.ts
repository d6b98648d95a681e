/**
 * Wanted state of the operating system to actions: addresses, routes and rules
 * by `ip`, names by `/etc/resolv.conf`. What is wanted is data and what follows
 * from it is a pure function; undoing everything is a shell script, so that it
 * outlives us. Deliberately absent: who wants it, and the TUN itself.
 */
export { OsCommandError, ResolvConfError, StateRefusedError } from "./errors.ts";
export { HostConfig, type Os } from "./host-config.ts";
export { COMMAND_MS } from "./limits.ts";
export { type NetworkItem, type NetworkOptions, networkActions, networkItems } from "./network.ts";
export { type HostFacts, refusal } from "./policy.ts";
export { applyResolvConf, formerServers, type ResolvConfPaths, resolvConfPaths } from "./resolv-conf.ts";
export { EMPTY_STATE, parseWantedState, STATE_VERSION, type WantedState } from "./state.ts";
export { TUN_ROUTE } from "./table.ts";
export { undoScript } from "./undo.ts";
