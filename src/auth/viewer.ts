import { appAccess, type Grants } from "../access/mod.ts";
import { AccessDeniedError, type AppSession, type Kind, type Resource, type Verb } from "../api/mod.ts";
import type { HostIdentity } from "../pki/mod.ts";
import type { CallContext, LeafCaller } from "../rpc/mod.ts";
import type { Core } from "./core.ts";
import { demandOf, grantsOf, grantsOfRemote, type Permit } from "./grants.ts";

/** A resource as this caller may see it; `undefined` where it may not know of it. */
export type Viewer = (resource: Resource) => Resource | undefined;

/** Throws `AccessDeniedError` where the caller may not see a kind at all. */
export async function viewerOf(
  core: Core,
  context: CallContext,
  kinds: readonly Kind[],
  verbs: readonly Verb[],
): Promise<Viewer> {
  const { caller } = context;
  switch (caller.kind) {
    case "admin":
      return (resource) => (resource.kind === "app_session" ? withoutRouteKey(resource) : resource);
    case "host":
      for (const kind of kinds) demandOfHost(caller, kind);
      return (resource) => asSeenByHost(caller, resource);
    case "user": {
      const grants = await grantsOf(core, caller);
      // Everybody may see the own app sessions.
      const ruled = kinds.filter((kind) => kind !== "app_session");
      const permits = new Map(ruled.map((kind) => [kind, demandOf(core, grants, verbs, kind)]));
      return asSeenByUser(grants, permits);
    }
    case "remote_user": {
      const grants = await grantsOfRemote(core, caller);
      for (const kind of kinds) demandForeign(REMOTE_USER_KINDS, kind, "a user of another cluster");
      return asSeenByUser(grants, new Map());
    }
    case "leaf":
      for (const kind of kinds) demandForeign(LEAF_KINDS, kind, "a leaf cluster");
      return (resource) => asSeenByLeaf(caller, resource);
    case "none":
      throw new AccessDeniedError("log in first");
  }
}

/** What a Proxy and an App Service need for their work, and no more. */
const HOST_KINDS = {
  Auth: [],
  Proxy: [
    "app_session",
    "app_server",
    "proxy",
    "cert_authority",
    "cluster_auth_preference",
    "vnet_config",
    "lock",
    "trusted_cluster",
    "remote_cluster",
  ],
  App: [
    "app_session",
    "app_server",
    "app",
    "role",
    "proxy",
    "cert_authority",
    "lock",
    "cluster_auth_preference",
    "cluster_networking_config",
  ],
} as const satisfies Record<HostIdentity["roles"][number], readonly Kind[]>;

/** What a root's user needs to reach apps here. */
const REMOTE_USER_KINDS: readonly Kind[] = ["vnet_config", "proxy", "app", "app_server"];
/** A leaf learns which sessions for its apps live, and no more. */
const LEAF_KINDS: readonly Kind[] = ["app_session"];

function demandForeign(kinds: readonly Kind[], kind: Kind, who: string): void {
  if (!kinds.includes(kind)) throw new AccessDeniedError(`${who} may not read ${kind}`);
}

function asSeenByLeaf(leaf: LeafCaller, resource: Resource): Resource | undefined {
  if (resource.kind !== "app_session" || resource.spec.root !== undefined) return undefined;
  return resource.spec.cluster === leaf.cluster ? withoutRouteKey(resource) : undefined;
}

function demandOfHost(host: HostIdentity, kind: Kind): void {
  const kinds: readonly Kind[] = host.roles.flatMap((role) => HOST_KINDS[role]);
  if (!kinds.includes(kind))
    throw new AccessDeniedError(`a host with role ${host.roles.join(", ")} may not read ${kind}`);
}

function asSeenByHost(host: HostIdentity, resource: Resource): Resource | undefined {
  if (host.roles.includes("Proxy")) return resource;
  switch (resource.kind) {
    case "app_session":
      return withoutRouteKey(resource);
    case "app_server":
      return resource.spec.host_id === host.hostId ? resource : undefined;
    default:
      return resource;
  }
}

/** `permits`: what the rules say, of the kinds that they are asked about. */
function asSeenByUser({ user, roles, traits }: Grants, permits: ReadonlyMap<Kind, Permit>): Viewer {
  const may = appAccess(roles, traits);
  return (resource) => {
    if (permits.get(resource.kind)?.covers(resource) === false) return undefined;
    switch (resource.kind) {
      case "app":
        return may(resource).allowed ? resource : undefined;
      case "app_server":
        return may(resource.spec.app).allowed ? resource : undefined;
      case "app_session":
        // A root's session is no session of the local user of that name.
        return resource.spec.user === user && resource.spec.root === undefined ? withoutRouteKey(resource) : undefined;
      default:
        return resource;
    }
  };
}

/** The key by which proxies know a session's carriers. */
function withoutRouteKey(session: AppSession): AppSession {
  const { route_key: _, ...spec } = session.spec;
  return { ...session, spec };
}
