import { sessionTtl } from "../access/mod.ts";
import {
  AccessDeniedError,
  AUTH_PREFERENCE_NAME,
  BadInputError,
  type ClusterAuthPreference,
  LimitExceededError,
  parseDuration,
  secondFactorPolicy,
  UnauthenticatedError,
  type User,
} from "../api/mod.ts";
import { isMalformed, messageOf } from "../base/mod.ts";
import { issueUserCert, publicKeyOfCsr } from "../pki/mod.ts";
import type { CallContext, RequestOf, ResponseOf } from "../rpc/mod.ts";
import { actorOf, addressOf, type Core, iso, record } from "./core.ts";
import { rolesNamed } from "./grants.ts";
import { countFailure, isLockedOut } from "./lockout.ts";
import { lockOn } from "./locks.ts";
import { type LoginLimits, tooMany } from "./login-limits.ts";
import type { Challenge } from "./mfa/challenges.ts";
import type { Device } from "./mfa/devices.ts";
import { deviceFields, type Mfa } from "./mfa/mfa.ts";
import type { Passwords } from "./passwords.ts";

export interface LoginParts {
  readonly core: Core;
  readonly passwords: Passwords;
  readonly mfa: Mfa;
  readonly limits: LoginLimits;
}

type Login = ResponseOf<"login.finish">;
/** What a certificate is asked for. */
type Wanted = NonNullable<Challenge["login"]>;

/**
 * Logins: a password, a passkey, or a password and a second factor. Unknown
 * user, user without a password and wrong password take the same time and say
 * the same.
 */
export class Logins {
  readonly #parts: LoginParts;

  constructor(parts: LoginParts) {
    this.#parts = parts;
  }

  /** The login, or the challenge of the second factor that is missing. */
  async password(request: RequestOf<"login.password">, context: CallContext): Promise<ResponseOf<"login.password">> {
    const { limits } = this.#parts;
    const who = { user: request.user, address: addressOf(context.remote) };
    try {
      return await limits.attempt(who, () =>
        this.#recorded(request.user, context, () => this.#byPassword(request, context)),
      );
    } catch (error) {
      if (error instanceof LimitExceededError) await this.#recordRefusal(request.user, context, error);
      throw error;
    }
  }

  /** A challenge for whoever has a passkey that names its user. */
  async passwordless(
    request: RequestOf<"login.passwordless">,
    context: CallContext,
  ): Promise<ResponseOf<"login.passwordless">> {
    const { core, mfa, limits } = this.#parts;
    const preference = await core.store.find("cluster_auth_preference", AUTH_PREFERENCE_NAME);
    demandPasswordless(preference);
    limits.countPasswordless(addressOf(context.remote));
    const login = await wanted(request);
    return { mfa: await mfa.ask({ scope: "passwordless_login", login }, context) };
  }

  async finish({ mfa: answer }: RequestOf<"login.finish">, context: CallContext): Promise<Login> {
    const { core, mfa } = this.#parts;
    const asked = await mfa.challenges.find(answer.challenge_id);
    return this.#recorded(asked.user ?? "", context, async () => {
      const proof = await mfa.verify(answer, { scopes: ["login", "passwordless_login"] }, context);
      const user = await core.store.find("user", proof.user);
      if (user === undefined || proof.challenge.login === undefined) throw invalidCredentials();
      await this.#demandMayLogIn(user);
      return this.#complete(user, proof.challenge.login, context, proof.device);
    });
  }

  async #byPassword(request: RequestOf<"login.password">, context: CallContext): Promise<ResponseOf<"login.password">> {
    const { core, mfa } = this.#parts;
    const preference = await core.store.find("cluster_auth_preference", AUTH_PREFERENCE_NAME);
    if (preference?.spec.allow_local_auth === false) {
      throw new AccessDeniedError("this cluster does not allow logins by password");
    }
    const login = await wanted(request);
    const user = await this.#authenticate(request, context);
    const policy = secondFactorPolicy(preference?.spec);
    const passwordSuffices =
      policy.accepted.length === 0 || (policy.optional && (await mfa.usable(request.user, policy)).length === 0);
    if (passwordSuffices) return { login: await this.#complete(user, login, context) };
    return { mfa: await mfa.ask({ scope: "login", user: request.user, login }, context) };
  }

  async #authenticate(request: RequestOf<"login.password">, { remote }: CallContext): Promise<User> {
    const { core, passwords, limits } = this.#parts;
    const { user: name, password } = request;
    const known = await core.store.find("user", name);
    // Before the password: what is guessed while the lock lasts is not told right from wrong.
    if (isLockedOut(known, core.clock.wallMs())) throw tooMany("for this user");
    const right = await passwords.verify(name, password);
    const user = await core.store.find("user", name);
    if (!right || user === undefined) {
      await countFailure(core, limits, { user: name, address: addressOf(remote) });
      throw invalidCredentials();
    }
    await this.#demandMayLogIn(user);
    return user;
  }

  async #demandMayLogIn({ metadata, spec }: User): Promise<void> {
    const { core } = this.#parts;
    const { name } = metadata;
    const { status, expires, roles } = spec;
    if (status?.is_locked && status.lock_expires === undefined)
      throw new UnauthenticatedError(`user ${JSON.stringify(name)} is locked: ask your administrator`);
    if (expires !== undefined && Date.parse(expires) <= core.clock.wallMs()) {
      throw new UnauthenticatedError(`user ${JSON.stringify(name)} has expired: ask your administrator`);
    }
    const lock = await lockOn(core, { user: name, roles });
    if (lock !== undefined) throw new AccessDeniedError(lock);
  }

  async #complete(user: User, login: Wanted, context: CallContext, device?: Device): Promise<Login> {
    const { core, limits } = this.#parts;
    const { name } = user.metadata;
    limits.forget(name);
    const answer = await issueLogin(core, { user, login, device });
    const actor = { ...actorOf(context), user: name, user_kind: "human" } as const;
    await record(core, "user.login", {
      ...actor,
      method: "local",
      user_roles: user.spec.roles,
      ...(device && deviceFields(device)),
      success: true,
    });
    await record(core, "cert.create", { ...actor, cert_type: "user", expires: answer.expires });
    return answer;
  }

  /** A failure is on record before it is told. */
  async #recorded<T>(user: string, context: CallContext, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      // A malformed request is no attempt; what costs its sender nothing must not fill the disk.
      if (error instanceof BadInputError || error instanceof LimitExceededError) throw error;
      await this.#recordFailure(user, context, error);
      throw error;
    }
  }

  /** The first refusal of a run of them: what costs its sender nothing must not fill the disk. */
  async #recordRefusal(user: string, context: CallContext, error: LimitExceededError): Promise<void> {
    if (this.#parts.limits.firstRefusal(user)) await this.#recordFailure(user, context, error);
  }

  #recordFailure(user: string, context: CallContext, error: unknown): Promise<void> {
    const actor = { ...actorOf(context), user, user_kind: "human", method: "local" } as const;
    return record(this.#parts.core, "user.login", { ...actor, success: false, error: messageOf(error) });
  }
}

async function wanted(request: { csr: string; ttl_seconds?: number | undefined }): Promise<Wanted> {
  const { csr, ttl_seconds } = request;
  return { public_key: await csrKey(csr), ...(ttl_seconds !== undefined && { ttl_seconds }) };
}

/** The public key of a request, or what is wrong with it as the caller's mistake. */
export async function csrKey(csr: string): Promise<string> {
  const key = await publicKeyOfCsr(csr);
  if (isMalformed(key)) throw new BadInputError(`the certificate request is not acceptable (${key.malformed})`);
  return key.publicKeyPem;
}

function demandPasswordless(preference: ClusterAuthPreference | undefined): void {
  const { accepted } = secondFactorPolicy(preference?.spec);
  if (preference?.spec.allow_local_auth !== false && accepted.includes("webauthn")) {
    if (preference?.spec.allow_passwordless !== false) return;
  }
  throw new AccessDeniedError("this cluster does not allow logins without a password");
}

function invalidCredentials(): UnauthenticatedError {
  return new UnauthenticatedError("invalid username or password");
}

async function issueLogin(core: Core, o: { user: User; login: Wanted; device: Device | undefined }): Promise<Login> {
  const { user, login, device } = o;
  const { authorities, clock } = core;
  const roles = await rolesNamed(core, user.spec.roles);
  const preference = await core.store.find("cluster_auth_preference", AUTH_PREFERENCE_NAME);
  const requestedMs = login.ttl_seconds === undefined ? undefined : login.ttl_seconds * 1000;
  const ttlMs = sessionTtl(roles, requestedMs, parseDuration(preference?.spec.default_session_ttl ?? ""));
  const now = clock.wallMs();
  const expires = Math.min(now + ttlMs, user.spec.expires === undefined ? Infinity : Date.parse(user.spec.expires));
  const cert = await issueUserCert({
    ca: authorities.user,
    cluster: authorities.cluster,
    publicKeyPem: login.public_key,
    user: user.metadata.name,
    roles: user.spec.roles,
    traits: user.spec.traits ?? {},
    now,
    expires,
    ...(device && { mfaDevice: device.id }),
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
