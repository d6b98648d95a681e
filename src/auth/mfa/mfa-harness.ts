import { Secret, TOTP } from "otpauth";
import type { SecondFactor } from "../../api/mod.ts";
import { type Clock, systemClock } from "../../base/mod.ts";
import { PASSWORD, TestAuth } from "../test-auth.ts";

/**
 * Real time, except that the wall clock stands still in the middle of a code's
 * 30 s until a test moves it. It is hours behind: what is issued as it moves
 * on is never from the future for OpenSSL, which has a clock of its own.
 */
export interface StandingClock extends Clock {
  advance(ms: number): void;
}

function standingClock(): StandingClock {
  let wall = Math.floor(Date.now() / 30_000) * 30_000 + 15_000 - 4 * 3_600_000;
  return {
    ...systemClock,
    wallMs: () => wall,
    advance: (ms) => {
      wall += ms;
    },
  };
}

/** An Auth that demands second factors, with a proxy announced. */
export async function startMfaAuth(secondFactors: readonly SecondFactor[]) {
  const clock = standingClock();
  const auth = await TestAuth.start({ authentication: { secondFactors } }, clock);
  await auth.announceProxy();
  return { auth, clock, code: (secret: string) => codeOf(secret, clock.wallMs()) };
}

export function codeOf(secret: string, nowMs: number): string {
  return new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: nowMs });
}

/** A user who has set a password and an authenticator app; its secret. */
export async function createOtpUser(auth: TestAuth, name: string, roles = ["access"]): Promise<string> {
  const { token } = await (await auth.admin()).call("user.invite", { name, roles });
  const nobody = auth.client();
  const { otp } = await nobody.call("invite.read", { token });
  if (otp === undefined) throw new Error("no one-time password is asked for");
  const otp_token = codeOf(otp.secret, auth.clock.wallMs());
  await nobody.call("invite.accept", { token, password: PASSWORD, otp_token });
  return otp.secret;
}
