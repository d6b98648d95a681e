import { MAX_BACKOFF_MS, MIN_BACKOFF_MS } from "./limits.ts";

/** Doubling delays with jitter: many clients of one server that failed must not return in step. */
export class Backoff {
  #nextMs = MIN_BACKOFF_MS;

  /** Between half of the current step and all of it; the step doubles. */
  nextMs(chance: () => number = Math.random): number {
    const stepMs = this.#nextMs;
    this.#nextMs = Math.min(stepMs * 2, MAX_BACKOFF_MS);
    return stepMs / 2 + (chance() * stepMs) / 2;
  }

  reset(): void {
    this.#nextMs = MIN_BACKOFF_MS;
  }
}
