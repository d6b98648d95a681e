import { sessionTtl } from "../access/mod.ts";
import {
  AccessDeniedError,
  AUTH_PREFERENCE_NAME,
  BadInputError,
  type ClusterAuthPreference,
  LimitExceededError,
  parseDuration,
  UnauthenticatedError,
  type User,
} from "../api/mod.ts";
import { isMalformed, messageOf } from "../base/mod.ts";
import { issueUserCert, publicKeyOfCsr } from "../pki/mod.ts";
import type { CallContext, RequestOf, ResponseOf } from "../rpc/mod.ts";
import { actorOf, type Core, iso, record } from "./core.ts";
import { rolesNamed } from "./grants.ts";
import { lockOn } from "./locks.ts";
import { type LoginLimits, tooMany } from "./login-limits.ts";
import type { Passwords } from "./passwords.ts";

export interface LoginParts {
  readonly passwords: Passwords;
  readonly limits: LoginLimits;
  /** Whose failures count together: the caller's address, or its connection where a proxy stands between. */
  addressOf(remote: string): string;
}

/**
 * A certificate for a password. Unknown user, user without a password and
 * wrong password take the same time and say the same.
 */
export async function loginByPassword(
  core: Core,
  parts: LoginParts,
  request: RequestOf<"login.password">,
  context: CallContext,
): Promise<ResponseOf<"login.password">> {
  const who = { user: request.user, address: parts.addressOf(context.remote) };
  return parts.limits
    .attempt(who, () => attempt(core, parts, request, context))
    .catch(async (error: unknown) => {
      if (error instanceof LimitExceededError) await recordRefusal(core, parts, request.user, context, error);
      throw error;
    });
}

/** The first refusal of a run of them: what costs its sender nothing must not fill the disk. */
async function recordRefusal(
  core: Core,
  { limits }: LoginParts,
  user: string,
  context: CallContext,
  error: LimitExceededError,
): Promise<void> {
  if (!limits.firstRefusal(user)) return;
  const actor = { ...actorOf(context), user, user_kind: "human", method: "local" } as const;
  await record(core, "user.login", { ...actor, success: false, error: messageOf(error) });
}

async function attempt(
  core: Core,
  parts: LoginParts,
  request: RequestOf<"login.password">,
  context: CallContext,
): Promise<ResponseOf<"login.password">> {
  const actor = { ...actorOf(context), user: request.user, user_kind: "human", method: "local" } as const;
  try {
    const preference = await core.store.find("cluster_auth_preference", AUTH_PREFERENCE_NAME);
    demandPasswordOnly(preference);
    const publicKeyPem = await csrKey(request.csr);
    const user = await authenticate(core, parts, request, context);
    parts.limits.forget(request.user);
    const answer = await issueLogin(core, { user, publicKeyPem, request, preference });
    await record(core, "user.login", { ...actor, user_roles: user.spec.roles, success: true });
    await record(core, "cert.create", {
      ...actorOf(context),
      user: request.user,
      cert_type: "user",
      expires: answer.expires,
    });
    return answer;
  } catch (error) {
    // A malformed request is no attempt; what costs its sender nothing must not fill the disk.
    if (error instanceof BadInputError || error instanceof LimitExceededError) throw error;
    await record(core, "user.login", { ...actor, success: false, error: messageOf(error) });
    throw error;
  }
}

/** The public key of a request, or what is wrong with it as the caller's mistake. */
export async function csrKey(csr: string): Promise<string> {
  const key = await publicKeyOfCsr(csr);
  if (isMalformed(key)) throw new BadInputError(`the certificate request is not acceptable (${key.malformed})`);
  return key.publicKeyPem;
}

/** A password alone is accepted only where `second_factors: []` says so by name. */
function demandPasswordOnly(preference: ClusterAuthPreference | undefined): void {
  const { second_factors, allow_local_auth } = preference?.spec ?? {};
  if (allow_local_auth === false) throw new AccessDeniedError("this cluster does not allow logins by password");
  if (second_factors?.length === 0) return;
  const wanted = second_factors?.join(" or ") ?? "none set";
  throw new AccessDeniedError(
    `this cluster demands a second factor (${wanted}), and second factors are not there yet in this version: ` +
      "only a cluster with second_factors: [] (auth_service.authentication, or tctl edit cap) can be logged in to",
  );
}

async function authenticate(
  core: Core,
  { passwords, limits, addressOf }: LoginParts,
  { user: name, password }: RequestOf<"login.password">,
  { remote }: CallContext,
): Promise<User> {
  const known = await core.store.find("user", name);
  // Before the password: what is guessed while the lock lasts is not told right from wrong.
  if (isLockedOut(known, core.clock.wallMs())) throw tooMany("for this user");
  const right = await passwords.verify(name, password);
  const user = await core.store.find("user", name);
  if (!right || user === undefined) {
    const { lockedUntil } = limits.failed({ user: name, address: addressOf(remote) });
    if (lockedUntil !== undefined) await lockOut(core, name, lockedUntil);
    throw new UnauthenticatedError("invalid username or password");
  }
  const { status, expires } = user.spec;
  if (status?.is_locked && status.lock_expires === undefined)
    throw new UnauthenticatedError(`user ${JSON.stringify(name)} is locked: ask your administrator`);
  if (expires !== undefined && Date.parse(expires) <= core.clock.wallMs()) {
    throw new UnauthenticatedError(`user ${JSON.stringify(name)} has expired: ask your administrator`);
  }
  const lock = await lockOn(core, { user: name, roles: user.spec.roles });
  if (lock !== undefined) throw new AccessDeniedError(lock);
  return user;
}

/** By failed logins, for a while; a lock without an end is an administrator's and counts for everything. */
function isLockedOut(user: User | undefined, now: number): boolean {
  const { is_locked, lock_expires } = user?.spec.status ?? {};
  return is_locked === true && lock_expires !== undefined && Date.parse(lock_expires) > now;
}

/** Shown in the user's status. Logins only: who guesses ends nobody's open sessions by it. */
async function lockOut(core: Core, name: string, until: number): Promise<void> {
  const user = await core.store.find("user", name);
  if (user === undefined || user.spec.status?.is_locked) return;
  const status = {
    is_locked: true,
    locked_message: "too many failed logins",
    lock_expires: iso(until),
  };
  await core.store.update({ ...user, spec: { ...user.spec, status } }).catch((error: unknown) => {
    // Written by somebody else meanwhile: the count in memory holds all the same.
    core.log.warn({ user: name, error: messageOf(error) }, "a locked account is not shown as locked");
  });
  core.log.warn({ user: name, until: iso(until) }, "too many failed logins: the account is locked for logins");
}

async function issueLogin(
  core: Core,
  o: {
    user: User;
    publicKeyPem: string;
    request: RequestOf<"login.password">;
    preference: ClusterAuthPreference | undefined;
  },
): Promise<ResponseOf<"login.password">> {
  const { user, publicKeyPem, request, preference } = o;
  const { authorities, clock } = core;
  const roles = await rolesNamed(core, user.spec.roles);
  const requestedMs = request.ttl_seconds === undefined ? undefined : request.ttl_seconds * 1000;
  const ttlMs = sessionTtl(roles, requestedMs, parseDuration(preference?.spec.default_session_ttl ?? ""));
  const now = clock.wallMs();
  const expires = Math.min(now + ttlMs, user.spec.expires === undefined ? Infinity : Date.parse(user.spec.expires));
  const cert = await issueUserCert({
    ca: authorities.user,
    cluster: authorities.cluster,
    publicKeyPem,
    user: user.metadata.name,
    roles: user.spec.roles,
    traits: user.spec.traits ?? {},
    now,
    expires,
  });
  return {
    cert,
    cluster_name: authorities.cluster,
    generation: authorities.generation,
    host_cas: authorities.trusted("host"),
    expires: iso(expires),
    server_time: iso(now),
  };
}
