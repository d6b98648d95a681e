import { sessionTtl } from "../access/mod.ts";
import {
  AccessDeniedError,
  AUTH_PREFERENCE_NAME,
  BadInputError,
  type ClusterAuthPreference,
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
import type { Passwords } from "./passwords.ts";

/**
 * A certificate for a password. Unknown user, user without a password and
 * wrong password take the same time and say the same.
 */
export async function loginByPassword(
  core: Core,
  passwords: Passwords,
  request: RequestOf<"login.password">,
  context: CallContext,
): Promise<ResponseOf<"login.password">> {
  const actor = { ...actorOf(context), user: request.user, user_kind: "human", method: "local" } as const;
  try {
    const preference = await core.store.find("cluster_auth_preference", AUTH_PREFERENCE_NAME);
    demandPasswordOnly(preference);
    const publicKeyPem = await csrKey(request.csr);
    const user = await authenticate(core, passwords, request);
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
    if (error instanceof BadInputError) throw error;
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
  passwords: Passwords,
  { user: name, password }: RequestOf<"login.password">,
): Promise<User> {
  const right = await passwords.verify(name, password);
  const user = await core.store.find("user", name);
  if (!right || user === undefined) throw new UnauthenticatedError("invalid username or password");
  const { status, expires } = user.spec;
  if (status?.is_locked)
    throw new UnauthenticatedError(`user ${JSON.stringify(name)} is locked: ask your administrator`);
  if (expires !== undefined && Date.parse(expires) <= core.clock.wallMs()) {
    throw new UnauthenticatedError(`user ${JSON.stringify(name)} has expired: ask your administrator`);
  }
  const lock = await lockOn(core, { user: name, roles: user.spec.roles });
  if (lock !== undefined) throw new AccessDeniedError(lock);
  return user;
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
    host_cas: [authorities.host.certPem],
    expires: iso(expires),
    server_time: iso(now),
  };
}
