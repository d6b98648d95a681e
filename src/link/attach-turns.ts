import type { Clock, Timer } from "../base/mod.ts";
import { ATTACHES_PER_MINUTE } from "./limits.ts";

const INTERVAL_MS = 60_000 / ATTACHES_PER_MINUTE;

export interface AttachClaimant {
  readonly transport: number;
  readonly generation: number;
  /** Its turn has come. Whether it has attached: only those count. */
  attach(): boolean;
  /** A newer one of its transport is there. */
  tooLate(): void;
}

/**
 * New carriers of one link: of each transport a burst of a minute's worth, then
 * one in its time. None is refused, and none waits longer than that time: a
 * client that does not wait, or loses the carrier meanwhile, has used nothing
 * up, and its next one takes the place.
 */
export class AttachTurns {
  readonly #clock: Clock;
  /** By transport: when the next would be due if they came evenly. */
  readonly #due = new Map<number, number>();
  readonly #waiting = new Map<number, { claimant: AttachClaimant; timer: Timer }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls the claimant back, perhaps at once. */
  ask(claimant: AttachClaimant): void {
    const { transport, generation } = claimant;
    const before = this.#waiting.get(transport);
    if (before !== undefined && before.claimant.generation >= generation) {
      claimant.tooLate();
      return;
    }
    before?.timer.cancel();
    this.#waiting.delete(transport);
    before?.claimant.tooLate();
    const delayMs = (this.#due.get(transport) ?? 0) - this.#clock.now();
    if (delayMs <= 0) {
      this.#go(claimant);
      return;
    }
    const timer = this.#clock.after(delayMs, () => {
      this.#waiting.delete(transport);
      this.#go(claimant);
    });
    this.#waiting.set(transport, { claimant, timer });
  }

  /** Nobody waits any more. */
  stop(): void {
    for (const { timer, claimant } of this.#waiting.values()) {
      timer.cancel();
      this.#go(claimant);
    }
    this.#waiting.clear();
  }

  #go(claimant: AttachClaimant): void {
    if (!claimant.attach()) return;
    const burstFrom = this.#clock.now() - (ATTACHES_PER_MINUTE - 1) * INTERVAL_MS;
    this.#due.set(
      claimant.transport,
      Math.max(this.#due.get(claimant.transport) ?? burstFrom, burstFrom) + INTERVAL_MS,
    );
  }
}
