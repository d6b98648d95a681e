import { INITIAL_WINDOW, LINK_BUDGET, MAX_STREAMS, MAX_WINDOW, MIN_WINDOW } from "./limits.ts";

/** New streams together take at most this part of the pool: what they hold while idle cannot be taken back. */
const IDLE_SHARE = 2;
/** A new stream takes at most this part of what is left of that. */
const INITIAL_SHARE = 16;
/** A busy stream takes at most this part more at each step. */
const GROWTH_SHARE = 4;
/** With less than this part of the pool free, busy streams give back. */
const SCARCE_SHARE = 8;

/**
 * The receive credit of one link. Each stream has MIN_WINDOW for good; what is
 * above comes out of one pool, so the sum never passes LINK_BUDGET:
 * 4,096 × 2 KiB + 8 MiB.
 */
export class CreditPool {
  readonly #size = LINK_BUDGET - MAX_STREAMS * MIN_WINDOW;
  #free = this.#size;

  get free(): number {
    return this.#free;
  }

  /** The window of a new stream. */
  open(): number {
    const left = this.#free - this.#size / IDLE_SHARE;
    return MIN_WINDOW + this.#take(Math.min(INITIAL_WINDOW - MIN_WINDOW, left / INITIAL_SHARE));
  }

  /** The next window of a stream that has used half of `window`: grown, or halved while the pool is scarce. */
  renew(window: number): number {
    if (this.#free < this.#size / SCARCE_SHARE && window > MIN_WINDOW) {
      const next = Math.max(MIN_WINDOW, Math.ceil(window / 2));
      this.#free += window - next;
      return next;
    }
    return window + this.#take(Math.min(window, MAX_WINDOW - window, this.#free / GROWTH_SHARE));
  }

  close(window: number): void {
    this.#free += window - MIN_WINDOW;
  }

  #take(octets: number): number {
    const taken = Math.max(0, Math.floor(octets));
    this.#free -= taken;
    return taken;
  }
}
