import type { Clock, Timer } from "../base/mod.ts";
import { DEAD_AFTER_MS, PING_AFTER_MS, PROBE_MS } from "./limits.ts";

export interface KeepAliveEvents {
  ping(id: number): void;
  /** Nothing was heard for DEAD_AFTER_MS. */
  dead(): void;
}

/** Asks a silent peer for a sign of life; any octet is one. */
export class KeepAlive {
  readonly #clock: Clock;
  readonly #events: KeepAliveEvents;
  #heardAt: number;
  #pinged = 0;
  #pingedAt = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, events: KeepAliveEvents) {
    this.#clock = clock;
    this.#events = events;
    this.#heardAt = clock.now();
    this.#wait(PING_AFTER_MS);
  }

  heard(): void {
    this.#heardAt = this.#clock.now();
  }

  /** Milliseconds since the last sign of life. */
  get silentMs(): number {
    return this.#clock.now() - this.#heardAt;
  }

  /** Also measures the path: call once at the start. */
  ping(): void {
    this.#pingedAt = this.#clock.now();
    this.#events.ping(++this.#pinged);
  }

  /** Milliseconds since the PING, if this answers the last one. */
  pong(id: number): number | undefined {
    return id === this.#pinged ? this.#clock.now() - this.#pingedAt : undefined;
  }

  /** Asks at once; a peer that stays silent for PROBE_MS is dead. */
  probe(): void {
    this.#timer?.cancel();
    const askedAt = this.#clock.now();
    this.ping();
    this.#timer = this.#clock.after(PROBE_MS, () => {
      if (this.#heardAt <= askedAt) this.#events.dead();
      else this.#check();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #wait(ms: number): void {
    this.#timer = this.#clock.after(ms, () => this.#check());
  }

  #check(): void {
    const silent = this.#clock.now() - this.#heardAt;
    if (silent >= DEAD_AFTER_MS) {
      this.#events.dead();
    } else if (silent < PING_AFTER_MS) {
      // Aligned to what was heard, so that death is noticed on time.
      this.#wait(PING_AFTER_MS - silent);
    } else {
      this.ping();
      this.#wait(Math.min(PING_AFTER_MS, DEAD_AFTER_MS - silent));
    }
  }
}
