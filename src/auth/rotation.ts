import { BadInputError, type RotationPhase } from "../api/mod.ts";
import { messageOf, type Timer } from "../base/mod.ts";
import { type CaType, createCa, crossSign } from "../pki/mod.ts";
import type { CallContext, RequestOf, ResponseOf } from "../rpc/mod.ts";
import { advanceRotation, beginRotation, type CaState, nextStep } from "./ca-state.ts";
import { actorOf, type Core, record } from "./core.ts";
import { demand } from "./grants.ts";
import { DEFAULT_GRACE_MS, MAX_GRACE_MS, MAX_ROTATION_WAIT_MS, MIN_GRACE_MS, ROTATION_RETRY_MS } from "./limits.ts";

type Actor = Pick<ReturnType<typeof actorOf>, "user" | "user_kind"> & { "addr.remote"?: string };

/**
 * Replaces an authority's key in phases, as in Teleport: by hand, or by itself
 * with a third of the grace period for each phase. The state is in storage, so
 * that a restart goes on where it was; no phase is shorter because Auth was away.
 */
export class Rotations {
  readonly #core: Core;
  readonly #timers = new Map<CaType, Timer>();
  /** One step at a time. */
  #work: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(core: Core) {
    this.#core = core;
    for (const type of ["host", "user"] as const) this.#schedule(type);
  }

  /** The administrator's step. Throws `BadInputError` for one that does not follow. */
  async rotate(request: RequestOf<"authority.rotate">, context: CallContext): Promise<ResponseOf<"authority.rotate">> {
    const permit = await demand(this.#core, context, ["update"], "cert_authority");
    const { type, mode = "auto", phase = "init" } = request;
    const { authorities, store } = this.#core;
    permit.demand(await store.get("cert_authority", `${type}/${authorities.cluster}`));
    const graceMs = graceOf(request.grace_seconds);
    const after = await this.#step(type, actorOf(context), async (state) => {
      if (phase === "init")
        return beginRotation(state, await this.#newKey(type, state), { mode, graceMs, now: this.#now() });
      // A step by hand is an administrator's decision: the rest is theirs too, except of a way back.
      const manual =
        state.rotation && phase !== "rollback" ? { ...state, rotation: { ...state.rotation, mode } } : state;
      return advanceRotation(manual, phase, this.#now());
    });
    return { type, phase: after.rotation?.phase ?? "standby", generation: after.generation };
  }

  /** A step that has begun is finished. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers.values()) timer.cancel();
    await this.#work;
  }

  #step(type: CaType, actor: Actor, next: (state: CaState) => Promise<CaState> | CaState): Promise<CaState> {
    const work = this.#work.then(async () => {
      const { authorities, log } = this.#core;
      const after = await next(authorities.state(type));
      await this.#core.audit.demandRoom();
      await authorities.change(type, after);
      this.#schedule(type);
      const phase = after.rotation?.phase ?? "standby";
      log.info({ type, phase, mode: after.rotation?.mode }, "the authority's rotation has come to another phase");
      await record(this.#core, "cert_authority.rotate", {
        ...actor,
        name: `${type}/${authorities.cluster}`,
        ca_type: type,
        phase,
        success: true,
        ...(after.rotation && { mode: after.rotation.mode }),
      });
      return after;
    });
    this.#work = work.catch(() => {});
    return work;
  }

  async #newKey(type: CaType, { active }: CaState) {
    const now = this.#now();
    const former = { certPem: active.cert, keyPem: active.key };
    const made = await createCa({ cluster: this.#core.authorities.cluster, type, now });
    return {
      ...made,
      byFormer: await crossSign(made.certPem, former, now),
      formerByNew: await crossSign(former.certPem, made, now),
    };
  }

  #schedule(type: CaType, retryMs?: number): void {
    this.#timers.get(type)?.cancel();
    const due = nextStep(this.#core.authorities.state(type));
    if (due === undefined || this.#closed) return;
    // Looked at now and then, so that a clock set forward counts.
    const waitMs = retryMs ?? Math.min(Math.max(0, due.at - this.#now()), MAX_ROTATION_WAIT_MS);
    this.#timers.set(
      type,
      this.#core.clock.after(waitMs, () => void this.#onTimer(type)),
    );
  }

  async #onTimer(type: CaType): Promise<void> {
    const due = nextStep(this.#core.authorities.state(type));
    if (due === undefined || due.at > this.#now()) return this.#schedule(type);
    const self: Actor = { user: `${this.#core.hostId}.${this.#core.authorities.cluster}`, user_kind: "system" };
    try {
      await this.#step(type, self, (state) => this.#dueStep(state));
    } catch (error) {
      this.#core.log.error({ type, error: messageOf(error) }, "a rotation's next phase failed and will be tried again");
      this.#schedule(type, ROTATION_RETRY_MS);
    }
  }

  /** An administrator may have been faster. */
  #dueStep(state: CaState): CaState {
    const due: { phase: RotationPhase; at: number } | undefined = nextStep(state);
    if (due === undefined || due.at > this.#now()) throw new BadInputError("the rotation has gone on meanwhile");
    return advanceRotation(state, due.phase, this.#now());
  }

  #now(): number {
    return this.#core.clock.wallMs();
  }
}

function graceOf(seconds: number | undefined): number {
  const graceMs = seconds === undefined ? DEFAULT_GRACE_MS : seconds * 1000;
  if (graceMs >= MIN_GRACE_MS && graceMs <= MAX_GRACE_MS) return graceMs;
  throw new BadInputError(
    `the grace period is between ${MIN_GRACE_MS / 60_000}m and ${MAX_GRACE_MS / 3_600_000}h; users and hosts renew in it`,
  );
}
