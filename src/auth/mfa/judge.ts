import { LimitExceededError, UnauthenticatedError } from "../../api/mod.ts";
import type { Challenge } from "./challenges.ts";
import type { Device, MfaDevices } from "./devices.ts";
import { matchOtp } from "./otp.ts";
import { credentialOf, type RelyingParty, verifyPasskey } from "./webauthn.ts";

/** Who shows something, and which of their devices it may be from. */
export interface Shown {
  readonly devices: MfaDevices;
  readonly user: string;
  readonly among: readonly Device[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** The device that the code is from, which is noted. Throws `UnauthenticatedError`. */
export async function judgeOtp(code: string, { devices, user, among, now }: Shown): Promise<Device> {
  for (const device of among) {
    if (device.otp === undefined) continue;
    const { secret, last_step } = device.otp;
    const step = matchOtp(secret, code, { nowMs: now, lastStep: last_step });
    if (step === undefined) continue;
    if (await devices.used(user, device, { otp: { secret, last_step: step } }, now)) return device;
  }
  throw new UnauthenticatedError(
    "the one-time password is not right, or was used before: wait for the next one, and check that the clock is right",
  );
}

/** The device that the browser's answer is from, with its counter noted. Throws `UnauthenticatedError`. */
export async function judgePasskey(
  answer: unknown,
  challenge: Pick<Challenge, "webauthn" | "scope">,
  party: RelyingParty,
  { devices, user, among, now }: Shown,
): Promise<Device> {
  const id = credentialOf(answer);
  const device = among.find(({ passkey }) => passkey?.credential_id === id);
  if (device?.passkey === undefined || challenge.webauthn === undefined) {
    throw new UnauthenticatedError("the passkey is not accepted: it is none of yours");
  }
  const { passkey } = device;
  const withoutPassword = challenge.scope === "passwordless_login";
  if (withoutPassword && !passkey.passwordless) {
    throw new UnauthenticatedError("the passkey is not accepted: it was not made for logins without a password");
  }
  const asked = { challenge: challenge.webauthn, answer, passkey, user, verifyUser: withoutPassword };
  const after = await verifyPasskey(party, asked);
  if (await devices.used(user, device, { passkey: after }, now)) return device;
  throw new LimitExceededError("the passkey was used elsewhere at the same moment: try again");
}
