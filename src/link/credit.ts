import type { Share } from "./budget.ts";
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
 * 4,096 × 2 KiB + 8 MiB. All of it counts against the link's share of what the
 * process gives out.
 */
export class CreditPool {
  readonly #size = LINK_BUDGET - MAX_STREAMS * MIN_WINDOW;
  readonly #share: Share;
  #free = this.#size;
  #ended = false;

  constructor(share: Share) {
    this.#share = share;
  }

  get free(): number {
    return Math.min(this.#free, this.#share.room);
  }

  /** The process has nothing left for another stream. */
  get exhausted(): boolean {
    return this.#share.left < MIN_WINDOW;
  }

  /** The window of a new stream; 0 for one that is to be refused. */
  open(): number {
    if (this.exhausted) return 0;
    this.#share.use(this.#share.used + MIN_WINDOW);
    const left = Math.min(this.#free - this.#size / IDLE_SHARE, this.#share.room);
    return MIN_WINDOW + this.#take(Math.min(INITIAL_WINDOW - MIN_WINDOW, left / INITIAL_SHARE));
  }

  /** The next window of a stream that has used half of `window`: grown, or halved while the pool is scarce. */
  renew(window: number): number {
    const scarce = this.#free < this.#size / SCARCE_SHARE || this.#share.room <= 0;
    if (scarce && window > MIN_WINDOW) {
      const next = Math.max(MIN_WINDOW, Math.ceil(window / 2));
      this.#give(window - next);
      return next;
    }
    return window + this.#take(Math.min(window, MAX_WINDOW - window, this.#free / GROWTH_SHARE));
  }

  close(window: number): void {
    if (window === 0) return;
    this.#give(window - MIN_WINDOW);
    this.#share.use(this.#share.used - MIN_WINDOW);
    if (this.#ended) this.end();
  }

  /** Opens no more. What came whole may outlive its link until it is read: only then is the share free. */
  end(): void {
    this.#ended = true;
    if (this.#share.used === 0) this.#share.leave();
  }

  #take(octets: number): number {
    const taken = Math.max(0, Math.floor(Math.min(octets, this.#share.room)));
    this.#free -= taken;
    this.#share.use(this.#share.used + taken);
    return taken;
  }

  #give(octets: number): void {
    this.#free += octets;
    this.#share.use(this.#share.used - octets);
  }
}
