import {
  AccessDeniedError,
  AUTH_PREFERENCE_NAME,
  BadInputError,
  type MfaAnswer,
  type MfaChallenge,
  type MfaDevice,
  type SecondFactorPolicy,
  secondFactorPolicy,
  UnauthenticatedError,
} from "../../api/mod.ts";
import { messageOf } from "../../base/mod.ts";
import type { CallContext, RequestOf, ResponseOf } from "../../rpc/mod.ts";
import type { Backend } from "../../storage/mod.ts";
import { actorOf, addressOf, type Core, iso, record } from "../core.ts";
import { countFailure } from "../lockout.ts";
import { lockOn } from "../locks.ts";
import type { LoginLimits } from "../login-limits.ts";
import { type Challenge, Challenges, type Scope } from "./challenges.ts";
import { type Device, type DeviceSecret, MfaDevices, type Passkey } from "./devices.ts";
import { judgeOtp, judgePasskey } from "./judge.ts";
import { pageUrl, relyingParty } from "./relying-party.ts";
import { type CeremonyOptions, credentialOf, type RelyingParty, requestOptions } from "./webauthn.ts";

/** A second factor that was shown just now. */
export interface Proof {
  readonly user: string;
  readonly device: Device;
  readonly challenge: Challenge;
}

export interface MfaParts {
  readonly core: Core;
  readonly backend: Backend;
  readonly limits: LoginLimits;
}

/** What is asked, and of whom. */
export interface Question {
  readonly scope: Scope;
  /** Absent: of whoever has a passkey that names its user. */
  readonly user?: string;
  readonly app?: string;
  readonly cluster?: string;
  readonly login?: Challenge["login"];
}

/** Second factors: asks for them, judges the answers, and lets a page of the proxy answer for a terminal. */
export class Mfa {
  readonly devices: MfaDevices;
  readonly challenges: Challenges;
  readonly #parts: MfaParts;

  constructor(parts: MfaParts) {
    this.#parts = parts;
    this.devices = new MfaDevices(parts.backend);
    this.challenges = new Challenges(parts.backend, parts.core.clock);
  }

  async policy(): Promise<SecondFactorPolicy> {
    const preference = await this.#parts.core.store.find("cluster_auth_preference", AUTH_PREFERENCE_NAME);
    return secondFactorPolicy(preference?.spec);
  }

  /** The devices by which the user may answer: those of the kinds that the cluster accepts. */
  async usable(user: string, policy: SecondFactorPolicy): Promise<Device[]> {
    const devices = await this.devices.list(user);
    return devices.filter((device) => policy.accepted.includes(device.otp ? "otp" : "webauthn"));
  }

  /** Throws `AccessDeniedError` where the user has no device that would do. */
  async ask(question: Question, context: CallContext): Promise<MfaChallenge> {
    const { core, limits } = this.#parts;
    const { user, ...rest } = question;
    if (user !== undefined) limits.countChallenge(user);
    const devices = user === undefined ? undefined : await this.#answerers(user, question.scope);
    const ceremony = await this.#ceremony(devices);
    const { id, pageId, expires } = await this.challenges.create({
      ...rest,
      ...(user !== undefined && { user }),
      remote: addressOf(context.remote),
      ...(ceremony && { webauthn: ceremony.challenge }),
    });
    await record(core, "mfa_auth_challenge.create", {
      ...actorOf(context),
      ...(user !== undefined && { user, user_kind: "human" }),
      challenge_scope: question.scope,
    });
    return {
      challenge_id: id,
      otp: devices?.some((device) => device.otp) ?? false,
      ...(ceremony && { webauthn: ceremony.options, approve_url: await pageUrl(core, `/web/mfa/${pageId}`) }),
      expires: iso(expires),
    };
  }

  /** Judges an answer, once. Wrong ones count as failed logins of the user. Throws `UnauthenticatedError`. */
  async verify(
    answer: MfaAnswer,
    expected: { scopes: readonly Scope[]; user?: string; app?: string; cluster?: string },
    context: CallContext,
  ): Promise<Proof> {
    const asked = await this.challenges.find(answer.challenge_id);
    if (!expected.scopes.includes(asked.scope)) throw notMeant();
    if (expected.user !== undefined && asked.user !== expected.user) throw notMeant();
    if (expected.app !== asked.app || expected.cluster !== asked.cluster) throw notMeant();
    return this.#counted(await this.#nameOf(asked, answer.webauthn), asked, context, async (user) => {
      const waiting = answer.otp_token === undefined && answer.webauthn === undefined;
      if (waiting && asked.approved_by === undefined) throw new BadInputError("no second factor was given");
      const challenge = await this.challenges.take(answer.challenge_id);
      const device = await (waiting ? this.#approver(user, challenge) : this.#judge(user, challenge, answer));
      return { user, device, challenge };
    });
  }

  /** Registers a device that has proved itself. */
  async add(user: string, name: string, secret: DeviceSecret, context: CallContext): Promise<MfaDevice> {
    const { core } = this.#parts;
    const device = await this.devices.add(user, name, secret, core.clock.wallMs());
    const named = { mfa_device_name: name, mfa_device_uuid: device.id, mfa_device_type: device.type };
    await record(core, "mfa.add", { ...actorOf(context), user, user_kind: "human", ...named });
    return device;
  }

  async remove(user: string, device: Device, context: CallContext): Promise<void> {
    await this.devices.remove(user, device);
    await record(this.#parts.core, "mfa.delete", {
      ...actorOf(context),
      ...deviceFields(device),
      name: user,
    });
  }

  async removeAll(user: string, context: CallContext): Promise<void> {
    for (const device of await this.devices.list(user)) await this.remove(user, device, context);
  }

  async readApproval(pageId: string): Promise<ResponseOf<"approval.read">> {
    const asked = await this.#approvable(pageId);
    const passkeys = asked.user === undefined ? undefined : await this.#passkeysOf(asked.user, asked.scope);
    const { options } = await requestOptions(await this.demandParty(), passkeys);
    return {
      user: asked.user ?? "",
      scope: asked.scope,
      ...(asked.app !== undefined && { app: asked.app }),
      remote: asked.remote,
      expires: iso(asked.expires),
      // The challenge that was asked, not another: the page may be loaded twice.
      webauthn: { ...options, challenge: asked.webauthn },
    };
  }

  async confirm(request: RequestOf<"approval.confirm">, context: CallContext): Promise<{ user: string }> {
    const asked = await this.#approvable(request.id);
    return this.#counted(await this.#nameOf(asked, request.webauthn), asked, context, async (user) => {
      const device = await this.#judge(user, asked, { webauthn: request.webauthn });
      await this.challenges.approve(request.id, { user, device: device.id });
      return { user, device, challenge: asked };
    });
  }

  /** Throws `BadInputError` while no proxy is known, whose pages could make or use a passkey. */
  async demandParty(): Promise<RelyingParty> {
    const party = await relyingParty(this.#parts.core);
    if (party !== undefined) return party;
    throw new BadInputError(
      "no proxy is connected, whose pages could use a passkey: set webauthn.rp_id, start a proxy",
    );
  }

  /** What a passkey would sign. Without a proxy there is no page to use one on; a one-time password still serves. */
  async #ceremony(devices: readonly Device[] | undefined): Promise<CeremonyOptions | undefined> {
    const passkeys = devices?.flatMap((device) => device.passkey ?? []);
    if (passkeys?.length === 0) return undefined;
    const party = devices?.some((device) => device.otp)
      ? await relyingParty(this.#parts.core)
      : await this.demandParty();
    return party && requestOptions(party, passkeys);
  }

  async #approvable(pageId: string): Promise<Challenge> {
    const asked = await this.challenges.findPage(pageId);
    if (asked.webauthn !== undefined && asked.approved_by === undefined) return asked;
    throw new UnauthenticatedError("this request was confirmed already: go back to the terminal");
  }

  /** A device may be changed by any that the user has; else the cluster says which kinds count. */
  async #answerers(user: string, scope: Scope): Promise<Device[]> {
    const policy = await this.policy();
    const devices = scope === "manage_devices" ? await this.devices.list(user) : await this.usable(user, policy);
    if (devices.length > 0) return devices;
    const kinds = policy.accepted.join(" or ") || "any";
    throw new AccessDeniedError(
      `user ${JSON.stringify(user)} has no second factor that this cluster accepts (${kinds}): ` +
        "add one with tsh mfa add, or ask your administrator for tctl users reset",
    );
  }

  async #passkeysOf(user: string, scope: Scope): Promise<Passkey[]> {
    return (await this.#answerers(user, scope)).flatMap((device) => device.passkey ?? []);
  }

  async #nameOf(asked: Challenge, webauthn: unknown): Promise<string> {
    if (asked.user !== undefined) return asked.user;
    if (webauthn === undefined) throw notMeant();
    const owner = await this.devices.ownerOf(credentialOf(webauthn));
    if (owner === undefined) throw new UnauthenticatedError("this passkey is not registered here");
    return owner;
  }

  async #counted(
    user: string,
    { scope }: Challenge,
    context: CallContext,
    run: (user: string) => Promise<Proof>,
  ): Promise<Proof> {
    const { core, limits } = this.#parts;
    const who = { user, address: addressOf(context.remote) };
    const fields = { ...actorOf(context), user, user_kind: "human", challenge_scope: scope } as const;
    return limits.attempt(who, async () => {
      try {
        const proof = await run(user);
        const lock = await lockOn(core, { mfaDevice: proof.device.id });
        if (lock !== undefined) throw new AccessDeniedError(lock);
        await record(core, "mfa_auth_challenge.validate", { ...fields, ...deviceFields(proof.device), success: true });
        return proof;
      } catch (error) {
        if (!(error instanceof UnauthenticatedError)) throw error;
        await countFailure(core, limits, who);
        await record(core, "mfa_auth_challenge.validate", { ...fields, success: false, error: messageOf(error) });
        throw error;
      }
    });
  }

  async #approver(user: string, { approved_by }: Challenge): Promise<Device> {
    const device = (await this.devices.list(user)).find(({ id }) => id === approved_by);
    if (device === undefined) throw new UnauthenticatedError("the device that confirmed this was removed meanwhile");
    return device;
  }

  async #judge(user: string, challenge: Challenge, answer: Omit<MfaAnswer, "challenge_id">): Promise<Device> {
    const among = await this.#answerers(user, challenge.scope);
    const shown = { devices: this.devices, user, among, now: this.#parts.core.clock.wallMs() };
    if (answer.otp_token !== undefined) return judgeOtp(answer.otp_token, shown);
    return judgePasskey(answer.webauthn, challenge, await this.demandParty(), shown);
  }
}

/** How audit events name a device. */
export function deviceFields(device: { id: string; name: string; otp?: unknown }) {
  const type = device.otp ? "TOTP" : "WEBAUTHN";
  return { mfa_device_name: device.name, mfa_device_uuid: device.id, mfa_device_type: type } as const;
}

function notMeant(): UnauthenticatedError {
  return new UnauthenticatedError("this answer is not for this request: begin again");
}
