import { INITIAL_RTO_MS, MAX_RTO_MS, MIN_RTO_MS } from "./limits.ts";
import * as seq from "./seq.ts";

/**
 * RFC 6298. One segment is timed at once; what was sent twice is never timed
 * (Karn, §3), but the echo of a timestamp tells which copy arrived.
 */
export interface RttEstimate {
  /** Below 0 until the first sample. */
  srttMs: number;
  rttvarMs: number;
  /** Before backing off. */
  rtoMs: number;
  /** Expiries in a row; each doubles the wait (§5.5). */
  backoff: number;
  timing: boolean;
  /** The number whose acknowledgement ends the measurement. */
  timedSeq: number;
  timedAtMs: number;
}

export function newRttEstimate(): RttEstimate {
  return { srttMs: -1, rttvarMs: 0, rtoMs: INITIAL_RTO_MS, backoff: 0, timing: false, timedSeq: 0, timedAtMs: 0 };
}

/** The wait for the next acknowledgement. */
export function currentRtoMs(rtt: RttEstimate): number {
  return Math.min(rtt.rtoMs * 2 ** rtt.backoff, MAX_RTO_MS);
}

/** When that wait ends; a whole number, as those are kept without memory of their own. */
export function rtoFrom(rtt: RttEstimate, now: number): number {
  return Math.ceil(now + currentRtoMs(rtt));
}

export function startTiming(rtt: RttEstimate, end: number, now: number): void {
  if (rtt.timing) return;
  rtt.timing = true;
  rtt.timedSeq = end;
  rtt.timedAtMs = now;
}

/**
 * New data was acknowledged: takes the sample if there is one and forgets the
 * backing off. `echoAgeMs`: from the segment's timestamp, -1 without (RFC 7323 §4).
 */
export function sampleAck(rtt: RttEstimate, ack: number, now: number, echoAgeMs: number): void {
  rtt.backoff = 0;
  if (rtt.timing) {
    if (seq.lt(ack, rtt.timedSeq)) return;
    rtt.timing = false;
    takeSample(rtt, now - rtt.timedAtMs);
  } else if (echoAgeMs >= 0) {
    takeSample(rtt, echoAgeMs);
  }
}

function takeSample(rtt: RttEstimate, sampleMs: number): void {
  if (rtt.srttMs < 0) {
    rtt.srttMs = sampleMs; // §2.2
    rtt.rttvarMs = sampleMs / 2;
  } else {
    rtt.rttvarMs += (Math.abs(rtt.srttMs - sampleMs) - rtt.rttvarMs) / 4; // §2.3, beta 1/4
    rtt.srttMs += (sampleMs - rtt.srttMs) / 8; // alpha 1/8
  }
  rtt.rtoMs = Math.ceil(Math.min(MAX_RTO_MS, Math.max(MIN_RTO_MS, rtt.srttMs + 4 * rtt.rttvarMs)));
}

/** The timer ran out (§5.5); the measurement in progress is void (§3). */
export function backOff(rtt: RttEstimate): void {
  rtt.backoff++;
  rtt.timing = false;
}
