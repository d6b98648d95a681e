import { createHash } from "node:crypto";
import {
  type AuthenticationResponseJSON,
  generateAuthenticationOptions,
  generateRegistrationOptions,
  type RegistrationResponseJSON,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from "@simplewebauthn/server";
import { z } from "zod";
import { UnauthenticatedError } from "../../api/mod.ts";
import { messageOf } from "../../base/mod.ts";
import { CHALLENGE_TTL_MS } from "../limits.ts";
import type { Passkey } from "./devices.ts";

/** Whom passkeys are made for (WebAuthn Level 3 §4, "relying party"). */
export interface RelyingParty {
  /** `webauthn.rp_id`: a host name. It must never change. */
  readonly id: string;
  readonly name: string;
  /** `https://host[:port]` of every proxy: no other page may use a passkey, a subdomain of `id` no less. */
  readonly origins: readonly string[];
}

type Json = Record<string, unknown>;

/** Made by the relying party, sent to the browser; `challenge` is what the answer must hold. */
export interface CeremonyOptions {
  readonly options: Json;
  readonly challenge: string;
}

/** For `navigator.credentials.create`. `others` are the user's passkeys, which are not made a second time. */
export async function creationOptions(
  party: RelyingParty,
  o: { user: string; others: readonly Passkey[]; passwordless: boolean },
): Promise<CeremonyOptions> {
  const options = await generateRegistrationOptions({
    rpName: party.name,
    rpID: party.id,
    userName: o.user,
    userDisplayName: o.user,
    userID: userHandle(party, o.user),
    timeout: CHALLENGE_TTL_MS,
    attestationType: "none",
    excludeCredentials: o.others.map(descriptor),
    authenticatorSelection: {
      residentKey: o.passwordless ? "required" : "preferred",
      userVerification: o.passwordless ? "required" : "preferred",
    },
  });
  return { options: { ...options }, challenge: options.challenge };
}

/** The new passkey. Throws `UnauthenticatedError` where the answer is not one to this challenge. */
export async function newPasskey(
  party: RelyingParty,
  o: { challenge: string; answer: unknown; passwordless: boolean },
): Promise<Passkey> {
  const response = parsed(registrationSchema, o.answer) as RegistrationResponseJSON;
  const { registrationInfo } = await explained(() =>
    verifyRegistrationResponse({
      response,
      expectedChallenge: o.challenge,
      expectedOrigin: [...party.origins],
      expectedRPID: party.id,
      requireUserVerification: o.passwordless,
    }),
  );
  if (registrationInfo === undefined) throw refused("it does not verify");
  const { credential, userVerified } = registrationInfo;
  // Kept with its user's name, by the authenticator's own word.
  const discoverable = o.passwordless || response.clientExtensionResults.credProps?.rk === true;
  return {
    credential_id: credential.id,
    public_key: Buffer.from(credential.publicKey).toString("base64url"),
    sign_count: credential.counter,
    ...(credential.transports && { transports: credential.transports }),
    rp_id: party.id,
    passwordless: discoverable && userVerified,
  };
}

/** For `navigator.credentials.get`. Without passkeys: any that is kept with its user's name. */
export async function requestOptions(party: RelyingParty, passkeys?: readonly Passkey[]): Promise<CeremonyOptions> {
  const options = await generateAuthenticationOptions({
    rpID: party.id,
    timeout: CHALLENGE_TTL_MS,
    userVerification: passkeys === undefined ? "required" : "preferred",
    ...(passkeys && { allowCredentials: passkeys.map(descriptor) }),
  });
  return { options: { ...options }, challenge: options.challenge };
}

/**
 * The passkey as it is after this use. Throws `UnauthenticatedError`: wrong
 * signature, challenge, page or relying party; a counter that did not rise
 * (a copy of the authenticator); the user not verified where that is demanded.
 */
export async function verifyPasskey(
  party: RelyingParty,
  o: { challenge: string; answer: unknown; passkey: Passkey; user: string; verifyUser: boolean },
): Promise<Passkey> {
  const response = parsed(authenticationSchema, o.answer) as AuthenticationResponseJSON;
  const { userHandle: handle } = response.response;
  const expected = Buffer.from(userHandle(party, o.user)).toString("base64url");
  if (handle !== undefined && handle !== expected) throw refused("it is another user's");
  const { verified, authenticationInfo } = await explained(() =>
    verifyAuthenticationResponse({
      response,
      expectedChallenge: o.challenge,
      expectedOrigin: [...party.origins],
      expectedRPID: party.id,
      requireUserVerification: o.verifyUser,
      credential: {
        id: o.passkey.credential_id,
        publicKey: new Uint8Array(Buffer.from(o.passkey.public_key, "base64url")),
        counter: o.passkey.sign_count,
      },
    }),
  );
  if (!verified) throw refused("it does not verify");
  return { ...o.passkey, sign_count: authenticationInfo.newCounter };
}

/** The credential that an answer says it is from; nothing is verified. */
export function credentialOf(answer: unknown): string {
  return parsed(authenticationSchema, answer).id;
}

const credential = { id: z.base64url().max(2048), rawId: z.base64url().max(2048), type: z.literal("public-key") };
const registrationSchema = z.looseObject({
  ...credential,
  response: z.looseObject({
    clientDataJSON: z.base64url(),
    attestationObject: z.base64url(),
    transports: z.array(z.string().max(32)).max(8).optional(),
  }),
  clientExtensionResults: z.looseObject({}),
});
const authenticationSchema = z.looseObject({
  ...credential,
  response: z.looseObject({
    clientDataJSON: z.base64url(),
    authenticatorData: z.base64url(),
    signature: z.base64url(),
    userHandle: z.base64url().nullish(),
  }),
  clientExtensionResults: z.looseObject({}),
});

function parsed<S extends z.ZodType>(schema: S, answer: unknown): z.output<S> {
  const result = schema.safeParse(answer);
  if (result.success) return result.data;
  throw refused("the browser's answer has another form");
}

/** The library throws plain errors, some of them for hostile octets deep inside CBOR. */
async function explained<T>(verify: () => Promise<T>): Promise<T> {
  try {
    return await verify();
  } catch (cause) {
    throw refused(messageOf(cause), cause);
  }
}

function refused(reason: string, cause?: unknown): UnauthenticatedError {
  return new UnauthenticatedError(`the passkey is not accepted: ${reason}`, { cause });
}

function descriptor({ credential_id, transports }: Passkey): { id: string; transports?: string[] } {
  return { id: credential_id, ...(transports && { transports: [...transports] }) };
}

/** Not the name itself (§14.6.1); the same after a reset, so that a new passkey takes the old one's place. */
function userHandle(party: RelyingParty, user: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(`${party.id}\0${user}`).digest());
}
