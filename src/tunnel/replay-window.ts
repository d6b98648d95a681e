import { REPLAY_WINDOW } from "./limits.ts";

const WORD = 32;
/** One word more than the window, so that a step never clears bits still in it (RFC 6479 §2). */
const WORDS = REPLAY_WINDOW / WORD + 1;

/** Accepts each counter once, as long as it is not far below the highest: the bit ring of RFC 6479. */
export class ReplayWindow {
  readonly #bits = new Uint32Array(WORDS);
  #highest = -1;

  /** False for a counter that was taken before or is too old. `counter` ≤ 2^53 − 1. */
  take(counter: number): boolean {
    if (counter > this.#highest) this.#advance(counter);
    else if (this.#highest - counter >= REPLAY_WINDOW) return false;
    const word = Math.floor(counter / WORD) % WORDS;
    const bit = 1 << (counter % WORD);
    if (this.#bits[word]! & bit) return false;
    this.#bits[word]! |= bit;
    return true;
  }

  #advance(counter: number): void {
    const from = Math.floor(this.#highest / WORD);
    const to = Math.floor(counter / WORD);
    for (let step = 1; step <= Math.min(to - from, WORDS); step++) this.#bits[(from + step) % WORDS] = 0;
    this.#highest = counter;
  }
}
