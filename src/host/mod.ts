/**
 * Where VNet meets the host: a command in a network namespace of its own
 * (`tsh vnet exec`), and the root launcher with its guard (`sudo tsh vnet`),
 * which keeps the operating system as wanted and undoes it at the end.
 * Deliberately absent: certificates, links, schemas; the launcher loads none.
 */
export type { DnsManager, HostReport, WantedState } from "../oscfg/mod.ts";
export { type AttachedLauncher, attachLauncher, upstreamServers } from "./attach.ts";
export { CommandNotFoundError, LauncherError, NamespaceError, ProgramMissingError } from "./errors.ts";
export { type LaunchOptions, launch } from "./launch.ts";
export { type CommandEnd, type NamespaceOptions, type NamespaceRun, runInNamespace } from "./namespace.ts";
export { requireCommand } from "./programs.ts";
export { becomeRoot } from "./sudo.ts";
