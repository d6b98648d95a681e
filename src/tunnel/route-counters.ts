import { type Clock, systemClock } from "../base/mod.ts";

/** Counters that one millisecond has room for. */
const PER_MS = 1_024;

/**
 * A client's counters, per session and proxy. They rise with the wall clock, so
 * that a second process with the same session, or the next one, is above the
 * window of the first; the proxy does not know that and looks at no clock.
 */
export class RouteCounters {
  readonly #last = new Map<string, Map<string, number>>();
  readonly #clock: Clock;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  next(sessionId: string, proxy: string): number {
    const ofSession = this.#last.get(sessionId) ?? new Map<string, number>();
    this.#last.set(sessionId, ofSession);
    const counter = Math.max((ofSession.get(proxy) ?? 0) + 1, Math.floor(this.#clock.wallMs()) * PER_MS);
    ofSession.set(proxy, counter);
    return counter;
  }

  /** The session ended. */
  forget(sessionId: string): void {
    this.#last.delete(sessionId);
  }
}
