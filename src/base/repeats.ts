import type { Clock } from "./clock.ts";

/** What was said is said again only after a while. Remembers at most `maxKeys`; beyond, the memory starts anew. */
export class Repeats {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #maxKeys: number;
  readonly #last = new Map<string, number>();

  constructor(clock: Clock, everyMs: number, maxKeys: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#maxKeys = maxKeys;
  }

  /** Is it time to say this (again)? `true` counts as said. */
  due(key: string): boolean {
    const now = this.#clock.now();
    const last = this.#last.get(key);
    if (last !== undefined && now - last < this.#everyMs) return false;
    if (this.#last.size >= this.#maxKeys) this.#last.clear();
    this.#last.set(key, now);
    return true;
  }
}
