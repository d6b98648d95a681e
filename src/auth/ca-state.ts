import { randomUUID } from "node:crypto";
import { z } from "zod";
import { BadInputError, type CaRotation, formatDuration, type RotationPhase } from "../api/mod.ts";
import type { KeyedCert } from "../pki/mod.ts";
import { MAX_VOUCHERS } from "./limits.ts";

const pair = z.object({ cert: z.string(), key: z.string() });
const phases = ["init", "update_clients", "update_servers", "rollback"] as const;

const rotation = z.object({
  id: z.string(),
  phase: z.enum(phases),
  mode: z.enum(["manual", "auto"]),
  started: z.number(),
  /** When the present phase began. */
  since: z.number(),
  grace_ms: z.number(),
});

/** One authority as it is stored: version 1 knew no rotation. */
export const caStateSchema = z.union([
  z.object({ v: z.literal(1), generation: z.int().min(1), ...pair.shape }),
  z.object({
    v: z.literal(2),
    generation: z.int().min(1),
    /** Signs. */
    active: pair,
    /** While a rotation lasts: the next key, and after `init` the former one. Trusted, and signs no more or not yet. */
    other: pair.optional(),
    /** Each key certified by the one before it, the latest first (`crossSign`). */
    vouchers: z.array(z.string()),
    /** While a rotation lasts: the former key certified by the next one, so that a pin of either will do. */
    reverse: z.string().optional(),
    last_rotated: z.number().optional(),
    rotation: rotation.optional(),
  }),
]);

export type StoredCa = z.output<typeof caStateSchema>;
export type CaState = Extract<StoredCa, { v: 2 }>;
type Pair = z.infer<typeof pair>;

export function currentForm(stored: StoredCa): CaState {
  if (stored.v === 2) return stored;
  const { generation, cert, key } = stored;
  return { v: 2, generation, active: { cert, key }, vouchers: [] };
}

export function newCa(made: KeyedCert): CaState {
  return { v: 2, generation: 1, active: pairOf(made), vouchers: [] };
}

/** What the first step needs besides the state: a key, and the two certificates by which old and new vouch for each other. */
export interface NewKey extends KeyedCert {
  readonly byFormer: string;
  readonly formerByNew: string;
}

/** `init`: the new key is trusted and unused. Throws `BadInputError` while another rotation lasts. */
export function beginRotation(
  state: CaState,
  made: NewKey,
  o: { mode: "manual" | "auto"; graceMs: number; now: number },
): CaState {
  if (state.rotation !== undefined) {
    throw new BadInputError(
      `a rotation is in progress (phase ${state.rotation.phase}): bring it to its end, or roll it back`,
    );
  }
  const { mode, graceMs, now } = o;
  return {
    ...state,
    generation: state.generation + 1,
    other: pairOf(made),
    vouchers: [made.byFormer, ...state.vouchers].slice(0, MAX_VOUCHERS),
    reverse: made.formerByNew,
    rotation: { id: randomUUID(), phase: "init", mode, started: now, since: now, grace_ms: graceMs },
  };
}

const NEXT: Readonly<Record<RotationPhase, readonly RotationPhase[]>> = {
  standby: ["init"],
  init: ["update_clients", "rollback"],
  update_clients: ["update_servers", "rollback"],
  update_servers: ["standby", "rollback"],
  rollback: ["standby"],
};

/** Every step but the first. Throws `BadInputError` for one that does not follow. */
export function advanceRotation(state: CaState, phase: RotationPhase, now: number): CaState {
  const { rotation: current, other } = state;
  const from = current?.phase ?? "standby";
  if (!NEXT[from].includes(phase) || current === undefined || other === undefined) {
    throw new BadInputError(`phase ${phase} does not follow ${from}; what follows is ${NEXT[from].join(" or ")}`);
  }
  const generation = state.generation + 1;
  if (phase === "standby") return settled(state, current.phase === "rollback", now);
  const swapped = phase === "update_clients" || (phase === "rollback" && from !== "init");
  const keys = swapped ? { active: other, other: state.active } : {};
  return {
    ...state,
    ...keys,
    generation,
    rotation: { ...current, phase: phase as (typeof phases)[number], since: now },
  };
}

/** One key is left, the one that signs. */
function settled(state: CaState, rolledBack: boolean, now: number): CaState {
  const { other: _other, reverse: _reverse, rotation: _rotation, ...rest } = state;
  return {
    ...rest,
    generation: state.generation + 1,
    ...(rolledBack ? { vouchers: state.vouchers.slice(1) } : { last_rotated: now }),
  };
}

/** The next step of an automatic rotation and its moment: every phase lasts a third of the grace period. */
export function nextStep({ rotation: current }: CaState): { phase: RotationPhase; at: number } | undefined {
  if (current === undefined || current.mode !== "auto") return undefined;
  const phase = NEXT[current.phase][0]!;
  return { phase, at: current.since + current.grace_ms / 3 };
}

/** The key that Auth's own server certificate is from: in `update_clients` not yet the new one. */
export function serverKey({ active, other, rotation: current }: CaState): Pair {
  return current?.phase === "update_clients" && other !== undefined ? other : active;
}

/** As the `cert_authority` resource shows it, with the schedule of an automatic rotation. */
export function shownRotation({ rotation: current, last_rotated }: CaState): CaRotation | undefined {
  const last = last_rotated === undefined ? {} : { last_rotated: iso(last_rotated) };
  if (current === undefined)
    return last_rotated === undefined ? undefined : { state: "standby", phase: "standby", ...last };
  return {
    state: "in_progress",
    phase: current.phase,
    mode: current.mode,
    current_id: current.id,
    started: iso(current.started),
    ...(current.mode === "auto" && { grace_period: formatDuration(current.grace_ms), schedule: schedule(current) }),
    ...last,
  };
}

function schedule({ phase, since, grace_ms }: z.infer<typeof rotation>): NonNullable<CaRotation["schedule"]> {
  const order: RotationPhase[] = phase === "rollback" ? ["standby"] : ["update_clients", "update_servers", "standby"];
  const ahead = order.slice(order.indexOf(phase) + 1);
  return Object.fromEntries(ahead.map((each, i) => [each, iso(since + ((i + 1) * grace_ms) / 3)]));
}

function pairOf({ certPem, keyPem }: KeyedCert): Pair {
  return { cert: certPem, key: keyPem };
}

function iso(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
