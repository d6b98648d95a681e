import { randomBytes } from "node:crypto";
import { type Grants, lockInForce, mayAccessApp, sessionControls } from "../access/mod.ts";
import {
  AccessDeniedError,
  type AppServer,
  type AppSession,
  type AppSessionAnswer,
  AUTH_PREFERENCE_NAME,
  appProtocol,
  BadInputError,
  LimitExceededError,
  MfaRequiredError,
  NotFoundError,
  type Role,
} from "../api/mod.ts";
import { issueUserCert, type UserIdentity } from "../pki/mod.ts";
import type { CallContext, RequestOf, ResponseOf } from "../rpc/mod.ts";
import type { Backend } from "../storage/mod.ts";
import { actorOf, type Core, iso, record, userOf } from "./core.ts";
import { Documents, versioned } from "./documents.ts";
import { certsOf } from "./federation/authorities.ts";
import { grantsOf, grantsOfRemote, rolesNamed } from "./grants.ts";
import { proxyAddresses } from "./heartbeats.ts";
import { APP_CERT_TTL_MS, MAX_APP_SESSIONS } from "./limits.ts";
import { lockOn } from "./locks.ts";
import { csrKey } from "./login.ts";
import type { Mfa } from "./mfa/mfa.ts";

const indexSchema = versioned({});
const SESSION_ID_LEN = 16;
const ROUTE_KEY_LEN = 32;

/**
 * Permissions of a user to reach one app, kept as `app_session` resources that
 * proxies and agents watch: the end of one cuts its connections (PROTOCOL
 * section 2). A session lives until the login that made it ends.
 */
export class AppSessions {
  readonly #core: Core;
  readonly #mfa: Mfa;
  /** Sessions by user: storage has no other index. */
  readonly #index: Documents<typeof indexSchema>;

  constructor(core: Core, backend: Backend, mfa: Mfa) {
    this.#core = core;
    this.#mfa = mfa;
    this.#index = new Documents(backend, "session_of", indexSchema);
  }

  async create(request: RequestOf<"app_session.create">, context: CallContext): Promise<AppSessionAnswer> {
    const { cluster } = this.#core.authorities;
    if (request.cluster !== undefined && request.cluster !== cluster) {
      return this.#createForLeaf({ ...request, cluster: request.cluster }, context);
    }
    const caller = userOf(context);
    const publicKeyPem = await csrKey(request.csr);
    const grants = await grantsOf(this.#core, caller);
    const sessionId = randomBytes(SESSION_ID_LEN).toString("hex");
    const servers = await this.#reachable(grants, request.app, sessionId, context);
    await this.#demandRoom(caller.user);
    const app = { app: servers[0]!.spec.app.metadata.name, public_addr: addressOf(servers[0]!), cluster };
    const device = await this.#secondFactor(request, grants, context);
    const session = sessionFor(caller, { ...app, ...device }, sessionId);
    await this.#keep(session);
    await this.#recordStart(session, servers[0]!, grants, context);
    return this.#answer(session, { servers, grants, caller, publicKeyPem });
  }

  /** For an app of a leaf, which this cluster does not know: there, the leaf's agent decides. */
  async #createForLeaf(
    request: RequestOf<"app_session.create"> & { cluster: string },
    context: CallContext,
  ): Promise<AppSessionAnswer> {
    const caller = userOf(context);
    const { app, cluster, public_addr } = request;
    if ((await this.#core.store.find("remote_cluster", cluster)) === undefined) {
      throw new NotFoundError(`cluster ${JSON.stringify(cluster)} is not known here: see tsh clusters`);
    }
    if (public_addr === undefined) throw new BadInputError("an app of a leaf cluster is named with its public_addr");
    const publicKeyPem = await csrKey(request.csr);
    const grants = await grantsOf(this.#core, caller);
    await this.#demandRoom(caller.user);
    const sessionId = randomBytes(SESSION_ID_LEN).toString("hex");
    const device = await this.#secondFactor(request, grants, context);
    const session = sessionFor(caller, { app, public_addr, cluster, ...device }, sessionId);
    await this.#keep(session);
    await record(this.#core, "app.session.start", {
      ...actorOf(context),
      cluster_name: cluster,
      user_roles: grants.roles.map((role) => role.metadata.name),
      server_id: this.#core.hostId,
      sid: sessionId,
      app_name: app,
      app_public_addr: public_addr,
      ...(device.mfa_device !== undefined && { with_mfa: device.mfa_device }),
      success: true,
    });
    return this.#answer(session, { servers: [], grants, caller, publicKeyPem });
  }

  /** Shown for this very session where the roles or the cluster ask for it. Throws `MfaRequiredError`. */
  async #secondFactor(
    { app, cluster, mfa }: RequestOf<"app_session.create">,
    grants: Grants,
    context: CallContext,
  ): Promise<{ mfa_device?: string }> {
    if (mfa !== undefined) {
      const bound = { app, ...(cluster !== undefined && { cluster }) };
      const { device } = await this.#mfa.verify(
        mfa,
        { scopes: ["user_session"], user: grants.user, ...bound },
        context,
      );
      return { mfa_device: device.id };
    }
    if (!(await this.#needsMfa(grants.roles))) return {};
    throw new MfaRequiredError(`the app ${JSON.stringify(app)} needs a second factor for each session`);
  }

  async #needsMfa(roles: readonly Role[]): Promise<boolean> {
    const preference = await this.#core.store.find("cluster_auth_preference", AUTH_PREFERENCE_NAME);
    return sessionControls(roles, preference).requireMfa;
  }

  /** The index first: a session that is not in it could not be ended. Asked for at once, they share one wait for the disk. */
  async #keep(session: AppSession): Promise<void> {
    const { name } = session.metadata;
    await Promise.all([
      this.#index.put([session.spec.user, name], { v: 1 }, Date.parse(session.spec.expires)),
      this.#core.store.create(session),
    ]);
  }

  /** Another certificate for a living session: judged anew, and as long as the caller's login now is. */
  async renew(request: { session_id: string; csr: string }, context: CallContext): Promise<AppSessionAnswer> {
    const caller = userOf(context);
    const publicKeyPem = await csrKey(request.csr);
    const session = await this.#own(request.session_id, caller);
    const grants = await grantsOf(this.#core, caller);
    const servers = this.#isOfLeaf(session) ? [] : await this.#serversOf(session, grants);
    if (servers.length === 0 && !this.#isOfLeaf(session)) throw appNotFound(session.spec.app);
    return this.#answer(await this.#prolonged(session, caller), { servers, grants, caller, publicKeyPem });
  }

  /** One of the caller's sessions, or all of them. */
  async end(sessionId: string | undefined, context: CallContext): Promise<void> {
    const { user } = userOf(context);
    if (sessionId === undefined) return this.endAll(user);
    const session = await this.#core.store.find("app_session", sessionId);
    // Ended already, or another's: the caller has nothing left to end either way.
    if (session?.spec.user === user && session.spec.root === undefined) await this.#remove(user, sessionId);
  }

  /** The hosts that may answer for a session now. */
  async agents(sessionId: string, context: CallContext): Promise<ResponseOf<"app_session.agents">> {
    const caller = userOf(context);
    const session = await this.#own(sessionId, caller);
    if (this.#isOfLeaf(session))
      throw new BadInputError("the leaf cluster's own Auth Service names its agents: app.agents");
    const servers = await this.#serversOf(session, await grantsOf(this.#core, caller));
    return { agents: hostsOf(servers), ...(await this.#trust(session)) };
  }

  /** The hosts that may answer for one of this cluster's apps, for a session that a root issued. */
  async agentsFor(
    { app, public_addr }: RequestOf<"app.agents">,
    { caller }: CallContext,
  ): Promise<ResponseOf<"app.agents">> {
    if (caller.kind !== "remote_user") throw new AccessDeniedError("app.agents is for users of a root cluster");
    const grants = await grantsOfRemote(this.#core, caller);
    const servers = (await this.#announced(app, public_addr)).filter((server) => mayReach(grants, server));
    if (servers.length === 0) throw appNotFound(app);
    const { cluster } = this.#core.authorities;
    const mfa_required = await this.#needsMfa(grants.roles);
    return { agents: hostsOf(servers), mfa_required, ...(await this.#trust({ spec: { cluster } })) };
  }

  async endAll(user: string): Promise<void> {
    for (const id of await this.#idsOf(user)) await this.#remove(user, id);
  }

  /**
   * Ends what a locked user has in leaf clusters: they know no locks of this
   * one. Agents here end by themselves what a lock targets.
   */
  async endLockedInLeaves({ user, role }: { user?: string | undefined; role?: string | undefined }): Promise<void> {
    if (user !== undefined) await this.endInLeaves(user);
    if (role === undefined) return;
    for await (const { metadata, spec } of this.#core.store.each("user")) {
      if (spec.roles.includes(role)) await this.endInLeaves(metadata.name);
    }
  }

  /** All that a user has in leaf clusters. */
  async endInLeaves(user: string): Promise<void> {
    for (const id of await this.#idsOf(user)) {
      const session = await this.#core.store.find("app_session", id);
      if (session !== undefined && this.#isOfLeaf(session)) await this.#remove(user, id);
    }
  }

  /** Ends what the user may no longer reach, after a change of the user or of a role. */
  async recheck(user: string): Promise<void> {
    const known = await this.#core.store.find("user", user);
    const { is_locked, lock_expires } = known?.spec.status ?? {};
    if (known === undefined || (is_locked && lock_expires === undefined)) return this.endAll(user);
    const roles = await rolesNamed(this.#core, known.spec.roles);
    const grants = { user, roles, traits: known.spec.traits ?? {} };
    const needsMfa = await this.#needsMfa(roles);
    for (const id of await this.#idsOf(user)) {
      const session = await this.#core.store.find("app_session", id);
      if (session === undefined) continue;
      if (needsMfa && session.spec.mfa_device === undefined) await this.#remove(user, id);
      if (this.#isOfLeaf(session)) continue;
      const servers = await this.#announced(session.spec.app, session.spec.public_addr);
      // No agent at this moment says nothing about the user's rights.
      if (servers.length > 0 && !servers.some((server) => mayReach(grants, server))) await this.#remove(user, id);
    }
  }

  async recheckRole(role: string): Promise<void> {
    for await (const user of this.#core.store.each("user")) {
      if (user.spec.roles.includes(role)) await this.recheck(user.metadata.name);
    }
  }

  /** After a change of the cluster's own preference. */
  async recheckAll(): Promise<void> {
    for await (const user of this.#core.store.each("user")) await this.recheck(user.metadata.name);
  }

  /** Where the app is announced and the user may go; all of one address. Refusals do not tell whether it exists. */
  async #reachable(grants: Grants, app: string, sid: string, context: CallContext): Promise<AppServer[]> {
    const servers = await this.#announced(app);
    const allowed = servers.filter((server) => mayReach(grants, server));
    const first = allowed[0];
    if (first === undefined) {
      if (servers[0] !== undefined) await this.#recordDenied(servers[0], grants, sid, context);
      throw appNotFound(app);
    }
    // Only who may reach the app learns that it is locked, hence that it is there.
    const lock = await lockOn(this.#core, { app });
    if (lock !== undefined) throw new AccessDeniedError(lock);
    if (appProtocol(first.spec.app) !== "tcp") {
      throw new BadInputError(
        `${JSON.stringify(app)} is a web app (HTTP); only TCP apps can be reached in this version`,
      );
    }
    return allowed.filter((server) => addressOf(server) === addressOf(first));
  }

  async #serversOf({ spec }: AppSession, grants: Grants): Promise<AppServer[]> {
    const lock = await lockOn(this.#core, { app: spec.app });
    if (lock !== undefined) throw new AccessDeniedError(lock);
    const servers = await this.#announced(spec.app, spec.public_addr);
    return servers.filter((server) => mayReach(grants, server));
  }

  async #announced(app: string, publicAddr?: string): Promise<AppServer[]> {
    const locks = await this.#core.store.list("lock");
    const now = this.#core.clock.wallMs();
    return (await this.#core.servers.named(app)).filter(
      (server) =>
        lockInForce(locks, { serverId: server.spec.host_id }, now) === undefined &&
        (publicAddr === undefined || addressOf(server) === publicAddr),
    );
  }

  async #own(sessionId: string, caller: UserIdentity): Promise<AppSession> {
    const session = await this.#core.store.find("app_session", sessionId);
    if (session?.spec.user === caller.user && session.spec.root === undefined) return session;
    throw new NotFoundError("the app session has ended: open a new one");
  }

  async #prolonged(session: AppSession, caller: UserIdentity): Promise<AppSession> {
    if (Date.parse(session.spec.expires) >= caller.expires) return session;
    const expires = iso(caller.expires);
    await this.#index.put([caller.user, session.metadata.name], { v: 1 }, caller.expires);
    return this.#core.store.update({
      ...session,
      metadata: { ...session.metadata, expires },
      spec: { ...session.spec, expires },
    });
  }

  async #demandRoom(user: string): Promise<void> {
    if ((await this.#idsOf(user)).length < MAX_APP_SESSIONS) return;
    throw new LimitExceededError(`${MAX_APP_SESSIONS} app sessions are open: end some with tsh logout`);
  }

  async #idsOf(user: string): Promise<string[]> {
    return (await this.#index.list(MAX_APP_SESSIONS, user)).map(({ name }) => name);
  }

  async #remove(user: string, sessionId: string): Promise<void> {
    await this.#core.store.delete("app_session", sessionId).catch((error: unknown) => {
      if (!(error instanceof NotFoundError)) throw error;
    });
    await this.#index.delete(user, sessionId);
  }

  async #answer(
    session: AppSession,
    o: { servers: AppServer[]; grants: Grants; caller: UserIdentity; publicKeyPem: string },
  ): Promise<AppSessionAnswer> {
    const { authorities, clock } = this.#core;
    const { app, public_addr, cluster, route_key } = session.spec;
    const now = clock.wallMs();
    const expires = Math.min(now + APP_CERT_TTL_MS, o.caller.expires);
    const cert = await issueUserCert({
      ca: authorities.user,
      cluster: authorities.cluster,
      publicKeyPem: o.publicKeyPem,
      user: o.grants.user,
      roles: o.grants.roles.map((role) => role.metadata.name),
      traits: o.grants.traits,
      now,
      expires,
      route: { app, publicAddr: public_addr, cluster, sessionId: session.metadata.name },
      ...(session.spec.mfa_device !== undefined && { mfaDevice: session.spec.mfa_device }),
    });
    return {
      session_id: session.metadata.name,
      cert,
      app,
      public_addr,
      cluster,
      agents: hostsOf(o.servers),
      ...(await this.#trust(session)),
      route_key: route_key ?? "",
      expires: iso(expires),
      server_time: iso(now),
      proxies: await proxyAddresses(this.#core),
    };
  }

  #isOfLeaf({ spec }: AppSession): boolean {
    return spec.cluster !== this.#core.authorities.cluster;
  }

  /** The host authorities of the app's own cluster. */
  async #trust({ spec }: { spec: Pick<AppSession["spec"], "cluster"> }): Promise<Trust> {
    const { authorities, store } = this.#core;
    const { generation, cluster } = authorities;
    if (spec.cluster === cluster) return { generation, host_cas: authorities.trusted("host") };
    const leaf = await store.find("cert_authority", `host/${spec.cluster}`);
    return { generation, host_cas: leaf ? certsOf(leaf) : [] };
  }

  #recordStart(session: AppSession, server: AppServer, grants: Grants, context: CallContext): Promise<void> {
    const { metadata, spec } = session;
    const fields = this.#eventFields(metadata.name, server, grants, context, spec.mfa_device);
    return record(this.#core, "app.session.start", { ...fields, success: true });
  }

  async #recordDenied(server: AppServer, grants: Grants, sid: string, context: CallContext): Promise<void> {
    const { reason } = mayAccessApp(grants.roles, server.spec.app, grants.traits);
    const fields = this.#eventFields(sid, server, grants, context);
    await record(this.#core, "app.session.start", { ...fields, success: false, error: reason });
  }

  #eventFields(sid: string, { spec }: AppServer, grants: Grants, context: CallContext, device?: string) {
    const { metadata, spec: app } = spec.app;
    return {
      ...actorOf(context),
      user_roles: grants.roles.map((role) => role.metadata.name),
      server_id: this.#core.hostId,
      sid,
      app_name: metadata.name,
      app_uri: app.uri,
      app_public_addr: addressOf({ spec }),
      ...(metadata.labels && { app_labels: metadata.labels }),
      ...(device !== undefined && { with_mfa: device }),
    };
  }
}

interface Trust {
  generation: number;
  host_cas: string[];
}

function sessionFor(
  caller: UserIdentity,
  app: Pick<AppSession["spec"], "app" | "public_addr" | "cluster" | "mfa_device">,
  sessionId: string,
): AppSession {
  const expires = iso(caller.expires);
  return {
    kind: "app_session",
    version: "v1",
    metadata: { name: sessionId, expires },
    spec: {
      user: caller.user,
      ...app,
      expires,
      route_key: randomBytes(ROUTE_KEY_LEN).toString("base64"),
    },
  };
}

function mayReach(grants: Grants, server: AppServer): boolean {
  return mayAccessApp(grants.roles, server.spec.app, grants.traits).allowed;
}

function hostsOf(servers: readonly AppServer[]): { host_id: string }[] {
  return servers.map(({ spec }) => ({ host_id: spec.host_id }));
}

function addressOf({ spec }: Pick<AppServer, "spec">): string {
  return spec.app.spec.public_addr ?? "";
}

function appNotFound(app: string): NotFoundError {
  return new NotFoundError(`app ${JSON.stringify(app)} is not found, or you may not reach it: see tsh apps ls`);
}
