import { AccessDeniedError, type AuditEventType } from "../api/mod.ts";
import { type AuditFields, type AuditLog, auditEvent } from "../audit/mod.ts";
import type { Clock, Logger } from "../base/mod.ts";
import { localNameOf, type UserIdentity } from "../pki/mod.ts";
import type { CallContext } from "../rpc/mod.ts";
import type { AppServers } from "./app-servers.ts";
import type { Authorities } from "./authorities.ts";
import type { HostBoundsStore } from "./host-bounds.ts";
import type { LoginEnds } from "./login-ends.ts";
import type { ResourceStore } from "./store.ts";

/** What every part of Auth works with. */
export interface Core {
  readonly authorities: Authorities;
  /** This Auth's own uuid, `server_id` in its audit events. */
  readonly hostId: string;
  readonly store: ResourceStore;
  /** Announced apps by name and address. */
  readonly servers: AppServers;
  /** What joined hosts may announce. */
  readonly bounds: HostBoundsStore;
  /** Which logins were ended by a reset. */
  readonly loginEnds: LoginEnds;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Writes an audit event; resolved means that it is on the disk. */
export function record<E extends AuditEventType>(
  core: Core,
  event: E,
  fields: Omit<AuditFields<E>, "cluster_name"> & { cluster_name?: string },
): Promise<void> {
  const all = { cluster_name: core.authorities.cluster, ...fields } as unknown as AuditFields<E>;
  return core.audit.append(auditEvent(event, all, core.clock));
}

interface ActorFields {
  user: string;
  user_kind: "human" | "system";
  "addr.remote": string;
}

/** Who did it and from where, as audit events say it. */
export function actorOf({ caller, remote }: CallContext): ActorFields {
  const at = { "addr.remote": remote };
  switch (caller.kind) {
    case "user":
      return { user: caller.user, user_kind: "human", ...at };
    case "host":
      return { user: `${caller.hostId}.${caller.cluster}`, user_kind: "system", ...at };
    case "admin":
      return { user: "admin", user_kind: "system", ...at };
    case "remote_user":
      return { user: localNameOf(caller), user_kind: "human", ...at };
    case "leaf":
      return { user: `${caller.hostId}.${caller.cluster}`, user_kind: "system", ...at };
    case "none":
      return { user: "", user_kind: "human", ...at };
  }
}

/** For calls that are a person's own affair. */
export function userOf({ caller }: CallContext): UserIdentity {
  if (caller.kind === "user") return caller;
  throw new AccessDeniedError("this is for users only");
}

/** Whose failures count together. `remote`: `address:port`. */
export function addressOf(remote: string): string {
  return remote.replace(/:\d+$/, "");
}

export function iso(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
