import { parseDuration, type Role } from "../api/mod.ts";

/** Teleport's default when neither the user nor the cluster asks for another. */
export const DEFAULT_SESSION_TTL_MS = 12 * 3_600_000;
/** No user certificate outlives this, whatever the roles say. */
export const MAX_SESSION_TTL_MS = 30 * 3_600_000;

/**
 * How long a login lasts, in milliseconds: what was requested, else the
 * cluster's default, but never longer than the strictest role.
 */
export function sessionTtl(
  roles: readonly Role[],
  requestedMs: number | undefined,
  defaultMs: number = DEFAULT_SESSION_TTL_MS,
): number {
  const limits = roles.map((role) => parseDuration(role.spec.options?.max_session_ttl ?? "") || MAX_SESSION_TTL_MS);
  return Math.min(requestedMs ?? defaultMs, MAX_SESSION_TTL_MS, ...limits);
}
