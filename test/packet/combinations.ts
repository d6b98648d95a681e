import type { Profile } from "./impairment.ts";

/** Bad networks, from a little to a lot. Damage counts as loss: the receiver drops what is damaged. */
export const PROFILES: readonly Profile[] = [
  { name: "loss 0.1 %", loss: 0.001 },
  { name: "loss 1 %, delay 1 ms, jitter 1 ms", loss: 0.01, delayMs: 1, jitterMs: 1 },
  { name: "reordering 20 %, duplication 1 %", reorder: 0.2, duplicate: 0.01 },
  { name: "corruption 0.4 %, truncation 0.4 %, loss 0.2 %", corrupt: 0.004, truncate: 0.004, loss: 0.002 },
  { name: "loss 5 %, reordering 10 %, duplication 2 %", loss: 0.05, reorder: 0.1, duplicate: 0.02 },
  {
    name: "loss 10 %, reordering 20 %, duplication 2 %, corruption 1 %, truncation 1 %, jitter 2 ms",
    loss: 0.1,
    reorder: 0.2,
    duplicate: 0.02,
    corrupt: 0.01,
    truncate: 0.01,
    jitterMs: 2,
  },
];

export interface Combination {
  readonly profile: Profile;
  readonly version: 4 | 6;
  readonly offload: boolean;
}

/** Each bad network with both IP versions, with and without offload: 24. */
export const COMBINATIONS: readonly Combination[] = PROFILES.flatMap((profile) =>
  ([4, 6] as const).flatMap((version) => [true, false].map((offload) => ({ profile, version, offload }))),
);

/** Frames that do not arrive, of one. */
export function lossOf({ loss = 0, corrupt = 0, truncate = 0 }: Profile): number {
  return loss + corrupt + truncate;
}

export function describe({ profile, version, offload }: Combination): string {
  return `IPv${version}, ${offload ? "offload" : "no offload"}, ${profile.name}`;
}
