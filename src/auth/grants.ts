import { mapRoles, mayDo } from "../access/mod.ts";
import { AccessDeniedError, type Kind, type Role, UnauthenticatedError, type Verb } from "../api/mod.ts";
import { localNameOf, type Traits, type UserIdentity } from "../pki/mod.ts";
import type { CallContext, RemoteUser } from "../rpc/mod.ts";
import type { Core } from "./core.ts";

/** What a user may be judged by now. */
export interface Grants {
  readonly user: string;
  readonly roles: readonly Role[];
  readonly traits: Traits;
}

/**
 * The roles that both the certificate and the user have: taking a role from a
 * user counts at once, giving one at the next login.
 */
export async function grantsOf(core: Core, caller: UserIdentity): Promise<Grants> {
  const user = await core.store.find("user", caller.user);
  if (user === undefined) throw new UnauthenticatedError(`user ${JSON.stringify(caller.user)} does not exist any more`);
  const { roles, traits, status, expires } = user.spec;
  if (status?.is_locked && status.lock_expires === undefined)
    throw new UnauthenticatedError(`user ${JSON.stringify(caller.user)} is locked`);
  if (expires !== undefined && Date.parse(expires) <= core.clock.wallMs()) {
    throw new UnauthenticatedError(`user ${JSON.stringify(caller.user)} has expired`);
  }
  const names = caller.roles.filter((role) => roles.includes(role));
  return { user: caller.user, roles: await rolesNamed(core, names), traits: traits ?? {} };
}

/**
 * A root's user is worth what the role map of the trust says, while the trust
 * lasts. The traits are the root's.
 */
export async function grantsOfRemote(core: Core, caller: RemoteUser): Promise<Grants> {
  const authority = await core.store.find("cert_authority", `user/${caller.cluster}`);
  const names = mapRoles(authority?.spec.role_map ?? [], caller.roles);
  if (names.length === 0) {
    throw new AccessDeniedError(
      `none of your roles in cluster ${JSON.stringify(caller.cluster)} is worth one here: the role_map of trusted_cluster/${caller.cluster} says which are`,
    );
  }
  return { user: localNameOf(caller), roles: await rolesNamed(core, names), traits: caller.traits };
}

/** All or none: a role that is missing might have denied something. */
export async function rolesNamed(core: Core, names: readonly string[]): Promise<Role[]> {
  const found = await Promise.all(names.map((name) => core.store.find("role", name)));
  const missing = names.find((_, i) => found[i] === undefined);
  if (missing === undefined) return found as Role[];
  throw new AccessDeniedError(`role ${JSON.stringify(missing)} does not exist any more: ask your administrator`);
}

/** The administrator may do everything; a user what the roles' rules say. Hosts have rules of their own. */
export async function demand(
  core: Core,
  context: CallContext,
  verbs: readonly Verb[],
  kind: Kind | "event",
): Promise<void> {
  const { caller } = context;
  if (caller.kind === "admin") return;
  if (caller.kind !== "user") throw new AccessDeniedError(`a ${caller.kind} may not ${verbs[0]} ${kind}`);
  demandOf(core, await grantsOf(core, caller), verbs, kind);
}

export function demandOf(core: Core, grants: Grants, verbs: readonly Verb[], kind: Kind | "event"): void {
  for (const verb of verbs) {
    const { allowed, reason } = mayDo(grants.roles, verb, kind);
    if (allowed) continue;
    core.log.info({ user: grants.user, reason }, "access denied");
    throw new AccessDeniedError(`access denied: your roles do not allow to ${verb} ${kind}`);
  }
}
