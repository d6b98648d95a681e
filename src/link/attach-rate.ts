import type { Clock } from "../base/mod.ts";

const MINUTE_MS = 60_000;

/** New carriers of each transport: a burst of a minute's worth, then one in its time. None is refused. */
export class AttachRate {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #burst: number;
  /** By transport: when the next would be due if they came evenly. */
  readonly #due = new Map<number, number>();

  constructor(clock: Clock, perMinute: number) {
    this.#clock = clock;
    this.#burst = perMinute;
    this.#intervalMs = MINUTE_MS / perMinute;
  }

  /** How long the next carrier has to wait; counts it. */
  delayMs(transport: number): number {
    const now = this.#clock.now();
    const due = Math.max(
      this.#due.get(transport) ?? Number.NEGATIVE_INFINITY,
      now - (this.#burst - 1) * this.#intervalMs,
    );
    this.#due.set(transport, due + this.#intervalMs);
    return Math.max(0, due - now);
  }
}
