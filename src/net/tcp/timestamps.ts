import * as seq from "./seq.ts";

/** RFC 7323 §3; exists where both SYNs carried the option. */
export interface Timestamps {
  /** Ours count milliseconds from here on, so that they tell nothing of the host (RFC 7323 §7.1). */
  readonly offset: number;
  /** TS.Recent: what is echoed. */
  recent: number;
  recentAtMs: number;
}

/** RFC 7323 §5.5: an older TS.Recent is no measure any more. */
const RECENT_LIFE_MS = 24 * 24 * 3_600_000;

/** An echo of something older is none of ours. */
const ECHO_LIFE_MS = 10 * 60_000;

export function tsValue(ts: Timestamps, now: number): number {
  return (Math.floor(now) + ts.offset) >>> 0;
}

/** Is the segment older than what came in order before it (PAWS, RFC 7323 §5.3 R1)? */
export function isOld(ts: Timestamps, tsVal: number, now: number): boolean {
  return seq.lt(tsVal, ts.recent) && now - ts.recentAtMs < RECENT_LIFE_MS;
}

/** RFC 7323 §4.3: TS.Recent comes from the segment that covers the last number acknowledged, not from one ahead of a gap. */
export function takeTimestamp(ts: Timestamps, tsVal: number, segSeq: number, lastAck: number, now: number): void {
  if (seq.lt(tsVal, ts.recent) && now - ts.recentAtMs < RECENT_LIFE_MS) return;
  if (seq.gt(segSeq, lastAck)) return;
  ts.recent = tsVal;
  ts.recentAtMs = Math.floor(now);
}

/** How long ago the echoed segment left, in milliseconds; -1 when the echo says nothing. */
export function echoAgeMs(ts: Timestamps, tsEcr: number, now: number): number {
  const ageMs = seq.diff(tsValue(ts, now), tsEcr);
  return ageMs < 0 || ageMs > ECHO_LIFE_MS ? -1 : ageMs;
}
