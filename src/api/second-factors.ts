import type { ClusterAuthPreference, SecondFactor } from "./cluster.ts";

/** What a login must show besides the password. */
export interface SecondFactorPolicy {
  /** Any one of them; empty: the password alone. */
  readonly accepted: readonly SecondFactor[];
  /** Asked only of users who have a device. */
  readonly optional: boolean;
}

type Spec = ClusterAuthPreference["spec"];

const DEFAULT: SecondFactorPolicy = { accepted: ["otp"], optional: false };

/** The older single word. */
const BY_WORD: Readonly<Record<NonNullable<Spec["second_factor"]>, SecondFactorPolicy>> = {
  off: { accepted: [], optional: false },
  otp: { accepted: ["otp"], optional: false },
  webauthn: { accepted: ["webauthn"], optional: false },
  on: { accepted: ["otp", "webauthn"], optional: false },
  optional: { accepted: ["otp", "webauthn"], optional: true },
};

/** `second_factors` where it is given, else `second_factor`, else one-time passwords, as in Teleport. */
export function secondFactorPolicy(spec: Spec | undefined): SecondFactorPolicy {
  if (spec?.second_factors !== undefined) return { accepted: spec.second_factors, optional: false };
  return spec?.second_factor === undefined ? DEFAULT : BY_WORD[spec.second_factor];
}
