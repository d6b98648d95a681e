import type { Clock, Timer } from "../base/mod.ts";
import { MAX_EXPIRY_WAIT_MS } from "./limits.ts";

/** Calls `sweep` when the next item lapses. `sweep` returns when the one after that does. */
export class ExpiryTimer {
  readonly #clock: Clock;
  readonly #sweep: () => number | undefined;
  #timer: Timer | undefined;
  #dueMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, sweep: () => number | undefined) {
    this.#clock = clock;
    this.#sweep = sweep;
  }

  /** Something lapses at `atMs` of the wall clock. */
  expect(atMs: number | undefined): void {
    if (atMs === undefined || atMs >= this.#dueMs) return;
    this.#timer?.cancel();
    this.#dueMs = atMs;
    const delayMs = Math.min(Math.max(atMs - this.#clock.wallMs(), 0), MAX_EXPIRY_WAIT_MS);
    this.#timer = this.#clock.after(delayMs, () => {
      this.#dueMs = Number.POSITIVE_INFINITY;
      this.expect(this.#sweep());
    });
  }

  close(): void {
    this.#timer?.cancel();
    this.#dueMs = Number.NEGATIVE_INFINITY;
  }
}
