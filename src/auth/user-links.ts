import { createHash, randomBytes } from "node:crypto";
import { z } from "zod";
import { BadInputError, NotFoundError, type SecondFactorPolicy, type User } from "../api/mod.ts";
import type { CallContext, RequestOf, ResponseOf } from "../rpc/mod.ts";
import type { Backend } from "../storage/mod.ts";
import { actorOf, type Core, iso, record } from "./core.ts";
import { Documents, versioned } from "./documents.ts";
import { demand } from "./grants.ts";
import { DEFAULT_INVITE_TTL_MS, DEFAULT_RESET_TTL_MS, MAX_INVITE_TTL_MS, MAX_RESET_TTL_MS } from "./limits.ts";
import type { DeviceSecret } from "./mfa/devices.ts";
import type { Mfa } from "./mfa/mfa.ts";
import { matchOtp, newOtpSecret, otpUri } from "./mfa/otp.ts";
import { pageUrl } from "./mfa/relying-party.ts";
import { creationOptions, newPasskey } from "./mfa/webauthn.ts";
import { checkStrength, type Passwords } from "./passwords.ts";
import { recordWrite } from "./record-write.ts";
import { checkUser } from "./write-rules.ts";

const schema = versioned({
  user: z.string(),
  kind: z.enum(["invite", "reset"]),
  expires: z.int(),
  /** Base32: becomes the user's one-time password device, or nothing. */
  otp_secret: z.string(),
});
type Link = z.infer<typeof schema>;
/** What a new passkey must sign; made anew each time the page is read. */
const ceremonySchema = versioned({ challenge: z.string() });
const TOKEN_LEN = 16;

export interface UserLinkParts {
  readonly core: Core;
  readonly backend: Backend;
  readonly passwords: Passwords;
  readonly mfa: Mfa;
  /** What a reset ends besides: logins, sessions, the count of failures. */
  endAll(user: string): Promise<void>;
}

/** Links by which users set a password and a second factor: good once and for a while. Storage holds only a hash. */
export class UserLinks {
  readonly #parts: UserLinkParts;
  readonly #documents: Documents<typeof schema>;
  readonly #ceremonies: Documents<typeof ceremonySchema>;

  constructor(parts: UserLinkParts) {
    this.#parts = parts;
    this.#documents = new Documents(parts.backend, "user_link", schema);
    this.#ceremonies = new Documents(parts.backend, "user_link_passkey", ceremonySchema);
  }

  /** A new user without a password, and the invite. */
  async invite(request: RequestOf<"user.invite">, context: CallContext): Promise<ResponseOf<"user.invite">> {
    const { core } = this.#parts;
    const permit = await demand(core, context, ["create"], "user");
    const ttlMs = ttlOf(request.ttl_seconds, { byDefault: DEFAULT_INVITE_TTL_MS, longest: MAX_INVITE_TTL_MS });
    const { name, roles, traits } = request;
    const user: User = {
      kind: "user",
      version: "v2",
      metadata: { name },
      spec: {
        roles,
        ...(traits && { traits }),
        created_by: { time: iso(core.clock.wallMs()), user: { name: actorOf(context).user } },
      },
    };
    permit.demand(user);
    await checkUser(core, user);
    const created = await core.store.create(user);
    await recordWrite(core, "create", created, context);
    return this.#create({ user: name, kind: "invite", ttlMs }, context);
  }

  /** Takes everything by which the user could log in, ends their sessions, and makes a link to begin again. */
  async reset(request: RequestOf<"user.reset">, context: CallContext): Promise<ResponseOf<"user.reset">> {
    const { core, passwords, mfa } = this.#parts;
    const { name } = request;
    const permit = await demand(core, context, ["update"], "user");
    permit.demand(await core.store.get("user", name));
    const ttlMs = ttlOf(request.ttl_seconds, { byDefault: DEFAULT_RESET_TTL_MS, longest: MAX_RESET_TTL_MS });
    await passwords.delete(name);
    await this.deleteOf(name);
    await mfa.removeAll(name, context);
    await this.#parts.endAll(name);
    return this.#create({ user: name, kind: "reset", ttlMs }, context);
  }

  async read(token: string): Promise<ResponseOf<"invite.read">> {
    const { core, mfa } = this.#parts;
    const link = await this.#find(token);
    const { user, kind, expires, otp_secret: secret } = link;
    const policy = await mfa.policy();
    const issuer = core.authorities.cluster;
    return {
      user,
      kind,
      expires: iso(expires),
      mfa_optional: isOptional(policy),
      ...(policy.accepted.includes("otp") && { otp: { secret, uri: otpUri(secret, { issuer, user }) } }),
      ...(policy.accepted.includes("webauthn") && { webauthn: await this.#passkeyOptions(token, link) }),
    };
  }

  /** Whoever is first sets password and device; the token is worth nothing afterwards. */
  async accept(request: RequestOf<"invite.accept">, context: CallContext): Promise<ResponseOf<"invite.accept">> {
    const { core, passwords, mfa } = this.#parts;
    const { token, password } = request;
    const link = await this.#find(token);
    const { user } = link;
    checkStrength(password);
    const device = await this.#deviceOf(link, request);
    const name = request.device_name ?? (device && "otp" in device ? "otp" : "passkey");
    if (device) await mfa.devices.demandName(user, name);
    if (!(await this.#documents.delete(digest(token)))) throw invalid();
    if (device) await mfa.add(user, name, device, context);
    if (!(await passwords.setFirst(user, password))) throw invalid();
    await record(core, "user.password_change", { ...actorOf(context), user, user_kind: "human" });
    return { user };
  }

  /** Of a user that is deleted or reset: another of the same name must not inherit them. */
  async deleteOf(user: string): Promise<void> {
    for (const { name, value } of await this.#documents.list(MAX_LINKS)) {
      if (value.user === user) await this.#documents.delete(name);
    }
  }

  async #create(o: Pick<Link, "user" | "kind"> & { ttlMs: number }, context: CallContext) {
    const { core } = this.#parts;
    const { user, kind, ttlMs } = o;
    const expires = core.clock.wallMs() + ttlMs;
    const token = randomBytes(TOKEN_LEN).toString("hex");
    const link = { v: 1 as const, user, kind, expires, otp_secret: newOtpSecret() };
    await this.#documents.create([digest(token)], link, expires);
    await record(core, "reset_password_token.create", { ...actorOf(context), name: user, ttl: `${ttlMs / 1000}s` });
    return { token, expires: iso(expires), url: await pageUrl(core, `/web/${kind}/${token}`) };
  }

  async #find(token: string): Promise<Link> {
    const { core, passwords } = this.#parts;
    const link = (await this.#documents.get(digest(token)))?.value;
    if (link === undefined || link.expires <= core.clock.wallMs()) throw invalid();
    const user = await core.store.find("user", link.user);
    if (user === undefined || (await passwords.has(link.user))) throw invalid();
    return link;
  }

  async #passkeyOptions(token: string, { user, expires }: Link) {
    const party = await this.#parts.mfa.demandParty();
    const { options, challenge } = await creationOptions(party, { user, others: [], passwordless: false });
    await this.#ceremonies.put([digest(token)], { v: 1, challenge }, expires);
    return options;
  }

  /** The second factor that came with the answer, as far as the cluster's policy wants one. */
  async #deviceOf(link: Link, request: RequestOf<"invite.accept">): Promise<DeviceSecret | undefined> {
    const { core, mfa } = this.#parts;
    const { accepted, ...policy } = await mfa.policy();
    if (request.webauthn !== undefined && accepted.includes("webauthn")) {
      const ceremony = await this.#ceremonies.get(digest(request.token));
      if (ceremony === undefined || !(await this.#ceremonies.delete(digest(request.token)))) throw invalid();
      const party = await mfa.demandParty();
      const { challenge } = ceremony.value;
      return { passkey: await newPasskey(party, { challenge, answer: request.webauthn, passwordless: false }) };
    }
    if (request.otp_token !== undefined && accepted.includes("otp")) {
      const step = matchOtp(link.otp_secret, request.otp_token, { nowMs: core.clock.wallMs(), lastStep: 0 });
      if (step === undefined) {
        throw new BadInputError("the one-time password is not right: type the one that the app shows now");
      }
      return { otp: { secret: link.otp_secret, last_step: step } };
    }
    if (isOptional({ accepted, ...policy })) return undefined;
    throw new BadInputError(`this cluster demands a second factor (${accepted.join(" or ")}): register one`);
  }
}

function ttlOf(seconds: number | undefined, { byDefault, longest }: { byDefault: number; longest: number }): number {
  if (seconds === undefined) return byDefault;
  if (seconds * 1000 <= longest) return seconds * 1000;
  throw new BadInputError(`the link is valid for ${longest / 3_600_000}h at most`);
}

/** More links than this are not open at one time: each ends after 48 h. */
const MAX_LINKS = 100_000;

/** Single sign-on has no device of ours. */
function isOptional({ accepted, optional }: SecondFactorPolicy): boolean {
  return optional || !accepted.some((kind) => kind !== "sso");
}

function digest(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

function invalid(): NotFoundError {
  return new NotFoundError("this link is not valid: it was used, has expired, or never was; ask for a new one");
}
