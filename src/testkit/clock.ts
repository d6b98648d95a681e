import type { Clock, Timer } from "../base/mod.ts";

/** Time that stands still until a test moves it. */
export interface VirtualClock extends Clock {
  /** Moves time on by `ms`; runs every timer that comes due, in order, each at its own moment. */
  advance(ms: number): void;
  /** Moves time to the next timer and runs it; false when there is none. */
  step(): boolean;
  /** Timers that wait. */
  readonly pending: number;
}

interface Waiting extends Timer {
  readonly at: number;
  readonly run: () => void;
}

/** Begins at 1 s, at a wall time of the year 2026, or a given one. */
export function virtualClock(o: { wallMs?: number } = {}): VirtualClock {
  let now = 1_000;
  const wallStart = (o.wallMs ?? Date.UTC(2026, 0, 1)) - (o.wallMs === undefined ? 0 : now);
  let waiting: Waiting[] = [];

  const next = () => waiting.reduce<Waiting | undefined>((a, b) => (a === undefined || b.at < a.at ? b : a), undefined);
  const fire = (timer: Waiting) => {
    waiting = waiting.filter((other) => other !== timer);
    now = Math.max(now, timer.at);
    timer.run();
  };

  return {
    now: () => now,
    wallMs: () => wallStart + now,
    after(delayMs, run) {
      const timer: Waiting = {
        at: now + Math.max(0, delayMs),
        run,
        cancel: () => {
          waiting = waiting.filter((other) => other !== timer);
        },
      };
      waiting.push(timer);
      return timer;
    },
    advance(ms) {
      const end = now + ms;
      for (let timer = next(); timer !== undefined && timer.at <= end; timer = next()) fire(timer);
      now = end;
    },
    step() {
      const timer = next();
      if (timer === undefined) return false;
      fire(timer);
      return true;
    },
    get pending() {
      return waiting.length;
    },
  };
}
