import { lockInForce, lockMessage, mapRoles, mayAccessApp, sessionControls } from "../access/mod.ts";
import {
  type App,
  type AppSession,
  appProtocol,
  type ClusterAuthPreference,
  type Lock,
  type Role,
  type RoleMap,
} from "../api/mod.ts";
import { type AppIdentity, localNameOf } from "../pki/mod.ts";
import type { LinkRefusal } from "../tunnel/mod.ts";
import { STRICT_STALE_MS } from "./limits.ts";

/** What the agent knows when it decides. */
export interface Knowledge {
  readonly cluster: string;
  readonly now: number;
  /** This agent's own. */
  readonly hostId: string;
  readonly locks: readonly Lock[];
  readonly preference: ClusterAuthPreference | undefined;
  /** How long nothing has been heard of Auth; 0 while the feed is up. */
  readonly staleMs: number;
  app(name: string): App | undefined;
  role(name: string): Role | undefined;
  /** What the roles of a root's users are worth here; `undefined` of a cluster that is not trusted. */
  roleMap(cluster: string): RoleMap | undefined;
  session(id: string): AppSession | undefined;
}

/** A refusal with what the administrator reads; `message` is what the user is told. */
export interface Denial extends LinkRefusal {
  readonly detail: string;
}

/**
 * May the holder of this app certificate connect? The chain is verified; all
 * else is decided here, by the agent alone (PROTOCOL section 1). Asked for each
 * link and again for each connection on it, so that a changed role counts at once.
 */
export function authorize(identity: AppIdentity, known: Knowledge): Denial | undefined {
  const { route } = identity;
  if (route.cluster !== known.cluster) return denied(`this agent belongs to cluster ${known.cluster}`);
  const fallen = standing(identity, known);
  if (fallen !== undefined) return fallen;
  const client = clientOf(identity, known);
  if (client === undefined) return distrusted(identity);
  const session = known.session(route.sessionId);
  if (session === undefined || Date.parse(session.spec.expires) <= known.now) {
    const message = "the app session has ended";
    return { code: "session-ended", message, detail: message };
  }
  const { user, app: name, root = known.cluster } = session.spec;
  if (user !== identity.user || name !== route.app || root !== identity.cluster) {
    return denied("the certificate is not this session's");
  }
  const app = known.app(route.app);
  if (app === undefined) return denied(`this agent does not serve the app ${route.app}`);
  if (app.spec.public_addr !== route.publicAddr) {
    return denied(`the app ${route.app} is no longer at ${route.publicAddr}`);
  }
  if (appProtocol(app) !== "tcp") {
    return denied(`${route.app} is a web app, and web apps are not served yet: give it a tcp:// URI`);
  }
  return checkRoles(client, app, known, identity.mfaDevice !== undefined);
}

/** A client as this cluster knows it. */
export type Client = Pick<AppIdentity, "user" | "roles" | "traits">;

/**
 * Who the holder of a verified certificate is here: a user of this cluster, or
 * one of a root's, whose roles are what the trust's role map makes of them.
 * `undefined` where there is no such trust (any more).
 */
export function clientOf(identity: AppIdentity, known: Pick<Knowledge, "cluster" | "roleMap">): Client | undefined {
  const { cluster, user, roles, traits } = identity;
  if (cluster === known.cluster) return { user, roles, traits };
  const roleMap = known.roleMap(cluster);
  return roleMap && { user: localNameOf(identity), roles: mapRoles(roleMap, roles), traits };
}

/** Whether this identity may be connected at all, also when it is already: locks, and how fresh they are. */
export function standing(identity: AppIdentity, known: Omit<Knowledge, "app" | "session">): Denial | undefined {
  const client = clientOf(identity, known);
  if (client === undefined) return distrusted(identity);
  const { user, roles } = client;
  const { route, mfaDevice } = identity;
  const subject = { user, roles, app: route.app, serverId: known.hostId, mfaDevice };
  const lock = lockInForce(known.locks, subject, known.now);
  if (lock !== undefined) return denied(lockMessage(lock, subject));
  if (known.staleMs <= STRICT_STALE_MS) return undefined;
  const present = roles.map((name) => known.role(name)).filter((role) => role !== undefined);
  if (!sessionControls(present, known.preference).strictLocks) return undefined;
  return denied("the agent has not heard from the Auth Service lately, and locking_mode is strict");
}

/** Only the roles inside the certificate count; one that was deleted since grants nothing. */
function checkRoles(identity: Client, app: App, known: Knowledge, withMfa: boolean): Denial | undefined {
  const roles = identity.roles.map((name) => known.role(name));
  // Roles also deny: to decide without one of them could allow too much.
  if (roles.includes(undefined)) return denied("a role of the certificate does not exist any more: log in again");
  const decision = mayAccessApp(roles as Role[], app, identity.traits);
  if (!decision.allowed) return denied(`your roles do not allow the app ${app.metadata.name}`, decision.reason);
  if (withMfa || !sessionControls(roles as Role[], known.preference).requireMfa) return undefined;
  return denied(`the app ${app.metadata.name} needs a second factor for each session: end this one and open another`);
}

function distrusted({ cluster }: AppIdentity): Denial {
  return denied(`this cluster does not trust the users of cluster ${cluster}`);
}

function denied(message: string, detail = message): Denial {
  return { code: "access-denied", message, detail };
}
