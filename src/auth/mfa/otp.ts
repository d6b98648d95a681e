import { randomBytes } from "node:crypto";
import { Secret, TOTP } from "otpauth";
import { OTP_PERIOD_S, OTP_SECRET_LEN, OTP_SKEW_STEPS } from "../limits.ts";

/** A new secret, in base32 as authenticator apps take it. */
export function newOtpSecret(): string {
  return new Secret({ buffer: new Uint8Array(randomBytes(OTP_SECRET_LEN)).buffer }).base32;
}

/** What a QR code says: `otpauth://totp/ISSUER:USER?secret=…`. */
export function otpUri(secret: string, o: { issuer: string; user: string }): string {
  return generator(secret, { issuer: o.issuer, label: o.user }).toString();
}

/**
 * The time step that the code belongs to, `undefined` where it is wrong. Only
 * steps after `lastStep` count: a code that was accepted is worth nothing
 * afterwards (RFC 6238 §5.2).
 */
export function matchOtp(secret: string, code: string, o: { nowMs: number; lastStep: number }): number | undefined {
  const token = code.replaceAll(/\s/g, "");
  if (!/^\d{6}$/.test(token)) return undefined;
  const delta = generator(secret, {}).validate({ token, timestamp: o.nowMs, window: OTP_SKEW_STEPS });
  if (delta === null) return undefined;
  const step = Math.floor(o.nowMs / 1000 / OTP_PERIOD_S) + delta;
  return step > o.lastStep ? step : undefined;
}

/** SHA-1, six digits: what every authenticator app understands. */
function generator(secret: string, names: { issuer?: string; label?: string }): TOTP {
  return new TOTP({ ...names, secret: Secret.fromBase32(secret), algorithm: "SHA1", digits: 6, period: OTP_PERIOD_S });
}
