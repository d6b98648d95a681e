import { type Grants, mapRoles, ruleAccess } from "../access/mod.ts";
import {
  AccessDeniedError,
  type Resource,
  type Role,
  type RuleKind,
  UnauthenticatedError,
  type Verb,
} from "../api/mod.ts";
import { localNameOf, type UserIdentity } from "../pki/mod.ts";
import type { CallContext, RemoteUser } from "../rpc/mod.ts";
import type { Core } from "./core.ts";
import { titleOf } from "./store.ts";

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

/** What a caller may do to some resources of one kind. */
export interface Permit {
  /** Whether to this one. */
  covers(resource: Resource): boolean;
  /** Throws `AccessDeniedError` where not to this one. */
  demand(resource: Resource): void;
}

const EVERYTHING: Permit = { covers: () => true, demand: () => {} };

/**
 * The administrator may do everything, a user what the roles' rules say. Hosts
 * have rules of their own. Throws `AccessDeniedError` where the caller may do
 * it to no resource of the kind.
 */
export async function demand(
  core: Core,
  context: CallContext,
  verbs: readonly Verb[],
  kind: RuleKind,
): Promise<Permit> {
  const { caller } = context;
  if (caller.kind === "admin") return EVERYTHING;
  if (caller.kind !== "user") throw new AccessDeniedError(`a ${caller.kind} may not ${verbs[0]} ${kind}`);
  return demandOf(core, await grantsOf(core, caller), verbs, kind);
}

export function demandOf(core: Core, grants: Grants, verbs: readonly Verb[], kind: RuleKind): Permit {
  const rules = verbs.map((verb) => ({ verb, may: ruleAccess(grants, verb, kind) }));
  const demand = (resource?: Resource) => {
    for (const { verb, may } of rules) {
      const { allowed, reason } = may(resource);
      if (allowed) continue;
      core.log.info({ user: grants.user, reason }, "access denied");
      throw new AccessDeniedError(`access denied: your roles ${refusal(verb, kind, resource)}`);
    }
  };
  demand();
  return { demand, covers: (resource) => rules.every(({ may }) => may(resource).allowed) };
}

function refusal(verb: Verb, kind: RuleKind, resource: Resource | undefined): string {
  if (resource === undefined) return `do not allow to ${verb} ${kind}`;
  const title = titleOf(resource.kind, resource.metadata.name);
  return `allow to ${verb} ${kind} on a condition (where), which ${title} does not meet`;
}
