/**
 * VNet: names become addresses, addresses become streams to apps. Pumps a TUN
 * device through the userspace stack, answers DNS on two addresses, and opens
 * a connection to an app before it accepts the local one.
 *
 * Knows nothing of logins, certificates or links: a `Directory` is given. Does
 * not configure the host: `planAddresses` and `zonesOf` say what it needs.
 */
export { AddressFile, type AddressStore } from "./address-file.ts";
export { DEFAULT_IPV4_CIDR, planAddresses, rangesOf, type VnetAddresses } from "./addresses.ts";
export type { SavedName } from "./assignments.ts";
export { type ClientProgram, type ClientProgramsOptions, clientPrograms } from "./client-programs.ts";
export { type DiagFinding, type DiagTools, diagnose } from "./diagnose.ts";
export type { AppView, ClusterView, Directory } from "./directory.ts";
export { DialTimeoutError } from "./errors.ts";
export { type ExplainInput, type ExplainStep, type Explanation, explain, type Finding, type Trial } from "./explain.ts";
export { FreeRanges, type FreeRangesOptions, freePart } from "./free-ranges.ts";
export { DIAL_TIMEOUT_MS } from "./limits.ts";
export { newProbe } from "./probe.ts";
export { Readiness, type ReadinessOptions } from "./readiness.ts";
export { type ClusterStatus, clusterStatus, type VnetStatus, viewOf } from "./status.ts";
export { readStatuses, serveStatus, statusDirs } from "./status-socket.ts";
export type { AppTraffic, OpenConnection } from "./traffic.ts";
export { type Outside, VNet, type VNetOptions, type VNetStats } from "./vnet.ts";
export { normalizeHost, zonesOf } from "./zones.ts";
