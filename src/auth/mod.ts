/**
 * The Auth Service: the cluster's resources, authorities, users and app
 * sessions, served as the API over `rpc`. Everything that it knows is in its
 * storage; every change is in the audit log before it is acknowledged.
 *
 * Lacks more than one instance; that is an issue of its own.
 */
export { ListenError, StoredStateError } from "./errors.ts";
export type { StaticToken } from "./joining.ts";
export * as authLimits from "./limits.ts";
export { ADMIN_FILE, type AuthConfig, type AuthOptions, type AuthService, startAuth } from "./start.ts";
