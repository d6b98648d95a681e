import type { MfaAnswer, MfaChallenge } from "../api/mod.ts";
import { sleep } from "../base/mod.ts";
import type { RpcClient } from "../rpc/mod.ts";
import { SecondFactorUnansweredError } from "./errors.ts";
import { APPROVAL_POLL_MS } from "./limits.ts";

/** The person who has the second factor, at a terminal or not. */
export interface MfaPerson {
  /** Asks for a one-time password. Absent: there is nobody to type one. */
  readonly otp?: (signal: AbortSignal) => Promise<string>;
  /** Shows the page on which a passkey confirms. Absent: passkeys are not to be used. */
  readonly open?: (url: string) => void;
}

/**
 * An answer to a challenge: the code that is typed, or the confirmation that a
 * passkey gives on the proxy's page, whichever comes first.
 */
export async function answerMfa(
  rpc: RpcClient,
  challenge: MfaChallenge,
  person: MfaPerson,
  signal: AbortSignal,
): Promise<MfaAnswer> {
  const { challenge_id, approve_url } = challenge;
  const done = new AbortController();
  const bound = AbortSignal.any([signal, done.signal]);
  const ways: Promise<MfaAnswer>[] = [];
  if (approve_url !== undefined && person.open) {
    person.open(approve_url);
    ways.push(awaitApproval(rpc, challenge_id, bound));
  }
  if (challenge.otp && person.otp) {
    ways.push(person.otp(bound).then((otp_token) => ({ challenge_id, otp_token })));
  }
  if (ways.length === 0) throw unanswered(challenge);
  try {
    return await Promise.race(ways);
  } finally {
    done.abort(new Error("answered in another way"));
    for (const way of ways) way.catch(() => {});
  }
}

async function awaitApproval(rpc: RpcClient, challengeId: string, signal: AbortSignal): Promise<MfaAnswer> {
  for (;;) {
    const { approved } = await rpc.call("approval.state", { challenge_id: challengeId }, { signal });
    if (approved) return { challenge_id: challengeId };
    await sleep(APPROVAL_POLL_MS, signal);
  }
}

/** Resolves when the page has made the passkey that was begun, or has lapsed: the list of devices says which. */
export async function awaitRegistration(rpc: RpcClient, registrationId: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { added } = await rpc.call("registration.state", { registration_id: registrationId }, { signal });
    if (added) return;
    await sleep(APPROVAL_POLL_MS, signal);
  }
}

function unanswered({ otp, approve_url }: MfaChallenge): SecondFactorUnansweredError {
  const kinds = [...(otp ? ["a one-time password"] : []), ...(approve_url ? ["a passkey, in the browser"] : [])];
  return new SecondFactorUnansweredError(
    `a second factor is asked for (${kinds.join(" or ") || "none that this program knows"}), ` +
      "and there is no way to give it here: run the command in a terminal, and look at --mfa-mode",
  );
}
