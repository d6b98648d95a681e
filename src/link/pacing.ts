import { PACING_FLOOR, REPLAY_LIMIT } from "./limits.ts";

/** Shortest round over which a rate is measured. */
const MIN_ROUND_MS = 5;

/**
 * How much data may be unacknowledged: twice what the path delivers in its
 * shortest round trip, so that a bulk stream fills the path and yet does not
 * sit in its queues before the chatty ones.
 *
 * The shortest round trip never expires: a path that changes for good comes
 * with a new carrier, and a rising minimum would follow our own queue upwards.
 */
export class Pacer {
  #minRttMs = Number.POSITIVE_INFINITY;
  #rate = 0; // octets per ms
  #roundAt = 0;
  #roundAcked = 0;
  #limit = PACING_FLOOR;

  /** Octets. */
  get limit(): number {
    return this.#limit;
  }

  rtt(ms: number): void {
    if (ms < this.#minRttMs) this.#minRttMs = ms;
  }

  /** `acked`: octets acknowledged since the start; `unacked`: octets still open. */
  acked(acked: number, unacked: number, now: number): void {
    const elapsed = now - this.#roundAt;
    if (elapsed < Math.max(this.#minRttMs, MIN_ROUND_MS) || this.#minRttMs === Number.POSITIVE_INFINITY) return;
    const rate = (acked - this.#roundAcked) / elapsed;
    // A slower round says something about the path only if it was kept full.
    if (rate > this.#rate) this.#rate = rate;
    else if (unacked > this.#limit / 2) this.#rate += (rate - this.#rate) / 8;
    this.#roundAt = now;
    this.#roundAcked = acked;
    const wanted = 2 * this.#rate * this.#minRttMs;
    this.#limit = Math.min(REPLAY_LIMIT, Math.max(PACING_FLOOR, wanted));
  }
}
