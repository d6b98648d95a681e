import { mkdir } from "node:fs/promises";
import type { ClusterNetworkingConfig } from "../api/mod.ts";
import type { AuditLog, Notary } from "../audit/mod.ts";
import { type Clock, Counters, type Logger } from "../base/mod.ts";
import type { HostRole } from "../pki/mod.ts";
import { type HostCredentials, hostUuid, RpcServer } from "../rpc/mod.ts";
import type { Backend } from "../storage/mod.ts";
import { writeAdminFile } from "./admin-file.ts";
import { AppServers } from "./app-servers.ts";
import { AppSessions } from "./app-sessions.ts";
import { openNotary } from "./audit-notary.ts";
import { Authorities } from "./authorities.ts";
import { type Core, record } from "./core.ts";
import { ListenError } from "./errors.ts";
import { Federation } from "./federation/federation.ts";
import {
  type AuthenticationConfig,
  clusterName,
  settleAuthPreference,
  settleNetworking,
  settlePresets,
} from "./first-start.ts";
import { handlersOf, type Parts } from "./handlers.ts";
import { HostBoundsStore } from "./host-bounds.ts";
import { credentialsFor, type StaticToken } from "./joining.ts";
import { unlock } from "./lockout.ts";
import { Logins } from "./login.ts";
import { LoginEnds } from "./login-ends.ts";
import { LoginLimits } from "./login-limits.ts";
import { Mfa } from "./mfa/mfa.ts";
import { Registrations } from "./mfa/registrations.ts";
import { Passwords } from "./passwords.ts";
import { RelayedConnections } from "./relayed.ts";
import { Resources } from "./resources.ts";
import { Rotations } from "./rotation.ts";
import { ResourceStore } from "./store.ts";
import { UserLinks } from "./user-links.ts";

export { ADMIN_FILE } from "./admin-file.ts";

export interface AuthConfig {
  /** Counts at the first start; then by default the node's name, else a uuid. */
  readonly clusterName?: string | undefined;
  readonly nodename?: string | undefined;
  /** `host:port`; port 0 for any. */
  readonly listenAddr: string;
  /** The whole authentication block; `secondFactors` alone is short for it. */
  readonly authentication?: AuthenticationConfig | undefined;
  readonly secondFactors?: AuthenticationConfig["secondFactors"] | undefined;
  readonly staticTokens?: readonly StaticToken[] | undefined;
  readonly messageOfTheDay?: string | undefined;
  /** What the configuration file sets of `cluster_networking_config`. */
  readonly networking?: ClusterNetworkingConfig["spec"] | undefined;
}

export interface AuthOptions {
  readonly config: AuthConfig;
  readonly dataDir: string;
  /** The caller's, to be closed after the service. */
  readonly backend: Backend;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface AuthService extends AsyncDisposable {
  readonly cluster: string;
  /** `host:port` that it listens on. */
  readonly listenAddress: string;
  /** Calls of the API by method and outcome. */
  readonly counters: Counters;
  /** For a service in this process: a new key and certificate. */
  localIdentity(role: Exclude<HostRole, "Auth">, hostId: string): Promise<HostCredentials>;
  close(): Promise<void>;
}

/** Opens or, at the first start, makes the cluster, and serves its API. */
export async function startAuth(options: AuthOptions): Promise<AuthService> {
  const { backend, dataDir } = options;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const core = await openCore(options);
  const notary = await openNotary(backend);
  await guardAudit(core, notary);
  const parts = await openParts(core, backend, notary, options.config.staticTokens ?? []);
  const { federation, rotations } = parts;
  const counters = new Counters();
  const server = new RpcServer({
    ...(await credentialsFor(core, ["Auth"], core.hostId)),
    cluster: core.authorities.cluster,
    authorities: () => [
      ...core.authorities.trusted("user"),
      ...core.authorities.trusted("host"),
      ...federation.callerAuthorities(),
    ],
    admit: (socket) => parts.relayed.addressOf(socket),
    handlers: handlersOf(parts, () => server.hostsNotBy([core.authorities.host.certPem])),
    clock: core.clock,
    log: core.log,
    counters,
  });
  const listenAddress = await listen(server, options.config.listenAddr);
  await writeAdminFile(core, dataDir, listenAddress);
  core.authorities.onChange(async (type) => {
    if (type === "host") {
      server.useCredentials(await credentialsFor(core, ["Auth"], core.hostId));
      await writeAdminFile(core, dataDir, listenAddress);
      await federation.ownAuthorityChanged();
    }
    server.reviewCallers();
  });
  federation.onCallersChange(() => server.reviewCallers());
  const close = async () => {
    await rotations.close();
    await server.close();
    await federation.close();
    await core.audit.release();
  };
  return {
    cluster: core.authorities.cluster,
    listenAddress,
    counters,
    localIdentity: (role, hostId) => credentialsFor(core, [role], hostId),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** What carries out the calls. */
async function openParts(
  core: Core,
  backend: Backend,
  notary: Notary,
  staticTokens: readonly StaticToken[],
): Promise<Parts> {
  const passwords = new Passwords(backend);
  const limits = new LoginLimits(core.clock);
  const relayed = await RelayedConnections.open(core, backend);
  const mfa = new Mfa({ core, backend, limits });
  const sessions = new AppSessions(core, backend, mfa);
  const federation = await Federation.open(core, backend, staticTokens);
  const links = new UserLinks({
    core,
    backend,
    passwords,
    mfa,
    async endAll(user) {
      limits.forget(user);
      await core.loginEnds.end(user, core.clock.wallMs());
      await unlock(core, user);
      await sessions.endInLeaves(user);
      await sessions.endAll(user);
    },
  });
  const resources = new Resources(core, {
    async userChanged(name) {
      limits.forget(name); // An administrator who lifts the lock means it.
      await sessions.endInLeaves(name);
      return sessions.recheck(name);
    },
    roleChanged: (name) => sessions.recheckRole(name),
    preferenceChanged: () => sessions.recheckAll(),
    async userLeaving(name, context) {
      await passwords.delete(name);
      await links.deleteOf(name);
      await mfa.removeAll(name, context);
    },
    userGone: (name) => sessions.endAll(name),
    locked: (target) => sessions.endLockedInLeaves(target),
    completing: (resource) => federation.completing(resource),
    written: (resource) => federation.written(resource),
    deleted: (resource) => federation.deleted(resource),
  });
  const rotations = new Rotations(core);
  const logins = new Logins({ core, passwords, mfa, limits });
  const registrations = new Registrations(core, backend, mfa);
  return {
    core,
    logins,
    links,
    mfa,
    registrations,
    sessions,
    resources,
    rotations,
    staticTokens,
    relayed,
    notary,
    federation,
  };
}

/** That the log was tampered with is itself an event, and stays to be found by `tctl audit verify`. */
async function guardAudit(core: Core, notary: Notary): Promise<void> {
  const { intact } = await core.audit.guard(notary);
  if (intact) return;
  const message = "the audit log is not the one that was written: records were changed, or its end was cut off";
  core.log.error({}, `${message}; see "tctl audit verify"`);
  await record(core, "audit.damaged", { server_id: core.hostId, success: false, error: message });
}

async function openCore(options: AuthOptions): Promise<Core> {
  const { config, backend, audit, clock, log, dataDir } = options;
  const store = new ResourceStore(backend, clock);
  const cluster = await clusterName(backend, { configured: config.clusterName, nodename: config.nodename, log });
  await settlePresets(backend, store);
  const { messageOfTheDay } = config;
  await settleAuthPreference(store, {
    secondFactors: config.secondFactors ?? ["otp"],
    messageOfTheDay,
    ...config.authentication,
  });
  await settleNetworking(store, config.networking);
  const servers = await AppServers.open({ backend, store, clock });
  const bounds = new HostBoundsStore(backend, store);
  const authorities = await Authorities.open({ backend, store, clock }, cluster);
  const loginEnds = new LoginEnds(backend);
  return { authorities, hostId: await hostUuid(dataDir), store, servers, bounds, loginEnds, audit, clock, log };
}

async function listen(server: RpcServer, listenAddr: string): Promise<string> {
  // Port 0, any free one, is an address to listen on only; so the API's parser does not take it.
  const target = /^\[?([^\]]*)\]?:(\d{1,5})$/.exec(listenAddr);
  if (target === null) throw new ListenError(listenAddr, "expected host:port");
  try {
    const { address, port } = await server.listen(target[1]!, Number(target[2]));
    return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  } catch (error) {
    throw new ListenError(listenAddr, error);
  }
}
