import { randomBytes } from "node:crypto";
import { z } from "zod";
import { BadInputError, MfaRequiredError, NotFoundError } from "../../api/mod.ts";
import type { UserIdentity } from "../../pki/mod.ts";
import type { CallContext, RequestOf, ResponseOf } from "../../rpc/mod.ts";
import type { Backend } from "../../storage/mod.ts";
import { type Core, iso } from "../core.ts";
import { Documents, versioned } from "../documents.ts";
import { CHALLENGE_TTL_MS } from "../limits.ts";
import { pageIdOf } from "./challenges.ts";
import { described } from "./devices.ts";
import type { Mfa } from "./mfa.ts";
import { matchOtp, newOtpSecret, otpUri } from "./otp.ts";
import { pageUrl } from "./relying-party.ts";
import { creationOptions, newPasskey } from "./webauthn.ts";

const schema = versioned({
  user: z.string(),
  name: z.string(),
  expires: z.int(),
  otp_secret: z.string().optional(),
  passkey: z.object({ passwordless: z.boolean(), challenge: z.string().optional() }).optional(),
});
type Registration = z.infer<typeof schema>;
const ID_LEN = 16;

/**
 * Devices that a logged-in user adds and removes. The first one needs the
 * login alone; every other change needs a device that is there already.
 */
export class Registrations {
  readonly #core: Core;
  readonly #mfa: Mfa;
  readonly #documents: Documents<typeof schema>;

  constructor(core: Core, backend: Backend, mfa: Mfa) {
    this.#core = core;
    this.#mfa = mfa;
    this.#documents = new Documents(backend, "mfa_registration", schema);
  }

  async list({ user }: UserIdentity): Promise<ResponseOf<"mfa.list">> {
    return { devices: (await this.#mfa.devices.list(user)).map(described) };
  }

  async register(
    request: RequestOf<"mfa.register">,
    { user }: UserIdentity,
    context: CallContext,
  ): Promise<ResponseOf<"mfa.register">> {
    const { name, type, passwordless } = request;
    const { clock, authorities } = this.#core;
    const { accepted } = await this.#mfa.policy();
    const kind = type === "TOTP" ? "otp" : "webauthn";
    if (accepted.length > 0 && !accepted.includes(kind)) {
      throw new BadInputError(`this cluster does not accept ${type} devices, only ${accepted.join(" or ")}`);
    }
    await this.#mfa.devices.demandName(user, name);
    await this.#demandProof(user, request.mfa, context);
    const id = randomBytes(ID_LEN).toString("hex");
    const expires = clock.wallMs() + CHALLENGE_TTL_MS;
    const begun = { v: 1 as const, user, name, expires };
    const answer = { registration_id: id, expires: iso(expires) };
    if (type === "TOTP") {
      const secret = newOtpSecret();
      await this.#documents.create([pageIdOf(id)], { ...begun, otp_secret: secret }, expires);
      return { ...answer, otp: { secret, uri: otpUri(secret, { issuer: authorities.cluster, user }) } };
    }
    await this.#mfa.demandParty();
    await this.#documents.create([pageIdOf(id)], { ...begun, passkey: { passwordless } }, expires);
    return { ...answer, register_url: await pageUrl(this.#core, `/web/mfa/add/${pageIdOf(id)}`) };
  }

  /** The first code of an authenticator app that was begun. */
  async addOtp(
    request: RequestOf<"mfa.add">,
    { user }: UserIdentity,
    context: CallContext,
  ): Promise<ResponseOf<"mfa.add">> {
    const begun = await this.#find(pageIdOf(request.registration_id));
    if (begun.user !== user || begun.otp_secret === undefined) throw invalid();
    const { otp_secret: secret } = begun;
    const step = matchOtp(secret, request.otp_token, { nowMs: this.#core.clock.wallMs(), lastStep: 0 });
    if (step === undefined) {
      throw new BadInputError("the one-time password is not right: type the one that the app shows now");
    }
    await this.#take(pageIdOf(request.registration_id));
    return { device: await this.#mfa.add(user, begun.name, { otp: { secret, last_step: step } }, context) };
  }

  /** For the page that makes the passkey; each reading makes another challenge and forgets the last. */
  async readPage(pageId: string): Promise<ResponseOf<"registration.read">> {
    const { passkey, ...begun } = await this.#find(pageId);
    if (passkey === undefined) throw invalid();
    const { user, name, expires } = begun;
    const others = (await this.#mfa.devices.list(user)).flatMap((device) => device.passkey ?? []);
    const { passwordless } = passkey;
    const { options, challenge } = await creationOptions(await this.#mfa.demandParty(), { user, others, passwordless });
    await this.#documents.put([pageId], { ...begun, passkey: { passwordless, challenge } }, expires);
    return { user, name, expires: iso(expires), webauthn: options };
  }

  async addPasskey(request: RequestOf<"registration.confirm">, context: CallContext): Promise<{ user: string }> {
    const { user, name, passkey } = await this.#find(request.id);
    if (passkey?.challenge === undefined) throw invalid();
    const party = await this.#mfa.demandParty();
    const { challenge, passwordless } = passkey;
    const made = await newPasskey(party, { challenge, answer: request.webauthn, passwordless });
    await this.#take(request.id);
    await this.#mfa.add(user, name, { passkey: made }, context);
    return { user };
  }

  /** Whether the page has made it: then nothing of it is left here, and the device is there. */
  async state(request: RequestOf<"registration.state">, { user }: UserIdentity): Promise<{ added: boolean }> {
    const begun = await this.#documents.get(pageIdOf(request.registration_id));
    if (begun === undefined) return { added: true };
    if (begun.value.user !== user) throw invalid();
    return { added: false };
  }

  async remove(
    request: RequestOf<"mfa.delete">,
    { user }: UserIdentity,
    context: CallContext,
  ): Promise<ResponseOf<"mfa.delete">> {
    const devices = await this.#mfa.devices.list(user);
    const device = devices.find(({ name, id }) => name === request.name || id === request.name);
    if (device === undefined) throw new NotFoundError(`MFA device ${JSON.stringify(request.name)} is not found`);
    await this.#mfa.verify(request.mfa, { scopes: ["manage_devices"], user }, context);
    await this.#refuseLast(user, device.id);
    await this.#mfa.remove(user, device, context);
    return { device: described(device) };
  }

  async #demandProof(user: string, mfa: RequestOf<"mfa.register">["mfa"], context: CallContext): Promise<void> {
    const devices = await this.#mfa.devices.list(user);
    if (devices.length === 0) return;
    if (mfa === undefined) throw new MfaRequiredError("show one of your MFA devices to add another");
    await this.#mfa.verify(mfa, { scopes: ["manage_devices"], user }, context);
  }

  /** Where the cluster demands a second factor, its user keeps one. */
  async #refuseLast(user: string, deviceId: string): Promise<void> {
    const policy = await this.#mfa.policy();
    if (policy.optional || policy.accepted.length === 0) return;
    const left = (await this.#mfa.usable(user, policy)).filter(({ id }) => id !== deviceId);
    if (left.length > 0) return;
    throw new BadInputError(
      "this is the last MFA device by which you can log in to this cluster: add another one before you remove it",
    );
  }

  async #find(pageId: string): Promise<Registration> {
    const begun = (await this.#documents.get(pageId))?.value;
    if (begun === undefined || begun.expires <= this.#core.clock.wallMs()) throw invalid();
    return begun;
  }

  /** Whoever takes it is the only one. */
  async #take(pageId: string): Promise<void> {
    if (!(await this.#documents.delete(pageId))) throw invalid();
  }
}

function invalid(): NotFoundError {
  return new NotFoundError("this registration was finished, has expired, or never was: begin again with tsh mfa add");
}
