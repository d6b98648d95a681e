import { type ClusterAuthPreference, type ClusterNetworkingConfig, parseDuration, type Role } from "../api/mod.ts";

/** What bounds a user's connections, besides whether they may be made at all. */
export interface SessionControls {
  /** A connection without an octet in either direction for so long is ended. */
  readonly idleTimeoutMs?: number;
  /** Connections of one user at one agent. */
  readonly maxConnections?: number;
  /** With an old view of the locks nobody is let in, and who is in is cut off. */
  readonly strictLocks: boolean;
  /** Each app session is opened with a second factor of its own. */
  readonly requireMfa: boolean;
}

/** Of the cluster and several roles the strictest word counts. */
export function sessionControls(
  roles: readonly Role[],
  preference: ClusterAuthPreference | undefined,
  networking?: ClusterNetworkingConfig | undefined,
): SessionControls {
  const options = roles.map((role) => role.spec.options ?? {});
  const idles = [...options, networking?.spec ?? {}].map((each) => each.client_idle_timeout ?? "");
  const idle = least(idles.map((each) => parseDuration(String(each))));
  const most = least(options.map((each) => each.max_connections));
  const strict = options.some((each) => each.lock === "strict") || preference?.spec.locking_mode === "strict";
  return {
    ...(idle !== undefined && { idleTimeoutMs: idle }),
    ...(most !== undefined && { maxConnections: most }),
    strictLocks: strict,
    requireMfa: [...options, preference?.spec ?? {}].some((each) => isOn(each.require_session_mfa)),
  };
}

function isOn(value: boolean | string | undefined): boolean {
  return value === true || value === "yes" || value === "on";
}

/** Absent and 0 mean no bound. */
function least(values: readonly (number | undefined)[]): number | undefined {
  const bounds = values.filter((value): value is number => value !== undefined && value > 0);
  return bounds.length === 0 ? undefined : Math.min(...bounds);
}
