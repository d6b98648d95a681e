import { z } from "zod";
import { text, timestamp, tokenName } from "./common.ts";

export const MFA_DEVICE_TYPES = ["TOTP", "WEBAUTHN"] as const;
export type MfaDeviceType = (typeof MFA_DEVICE_TYPES)[number];
export const mfaDeviceType = z.enum(MFA_DEVICE_TYPES);

/** A document of the browser's (WebAuthn Level 3 §5.1, §5.4); whoever uses it checks what is inside. */
export const webauthnJson = z.record(z.string(), z.unknown());

/** A second factor of a user; nothing in it is secret. */
export const mfaDevice = z.object({
  id: z.uuid(),
  name: text,
  type: mfaDeviceType,
  added: timestamp,
  last_used: timestamp.optional(),
});
export type MfaDevice = z.infer<typeof mfaDevice>;

/** Good for one answer, and for a few minutes. */
export const mfaChallenge = z.object({
  challenge_id: tokenName,
  /** A one-time password will do. */
  otp: z.boolean(),
  /** `PublicKeyCredentialRequestOptionsJSON`: a passkey will do. */
  webauthn: webauthnJson.optional(),
  /** The proxy's page on which a passkey confirms it. */
  approve_url: text.optional(),
  expires: timestamp,
});
export type MfaChallenge = z.infer<typeof mfaChallenge>;

/** With neither: the page at `approve_url` has confirmed it. */
export const mfaAnswer = z.strictObject({
  challenge_id: tokenName,
  otp_token: text.optional(),
  /** `AuthenticationResponseJSON`. */
  webauthn: webauthnJson.optional(),
});
export type MfaAnswer = z.infer<typeof mfaAnswer>;

/** A device that is begun: a secret to type or scan, or a page to open. */
export const newMfaDevice = z.object({
  registration_id: tokenName,
  otp: z.object({ secret: text, uri: text }).optional(),
  register_url: text.optional(),
  expires: timestamp,
});
export type NewMfaDevice = z.infer<typeof newMfaDevice>;
