/** When a sender was silent, as the shim's log shows it. */
import { seq } from "../../src/net/tcp/mod.ts";
import type { LoggedSegment } from "./decision-log.ts";

/** Shorter silences need no explanation. */
export const WAIT_MS = 150;
/** A slow round trip lengthens the timeout for so long. */
const RTT_MEMORY_MS = 10_000;

/** The sender was silent, waiting for an answer to what it had sent. */
export interface Wait {
  readonly fromMs: number;
  readonly toMs: number;
  /** The first octet that it did not know to have arrived. */
  readonly una: number;
  /** Waits before this one in which nothing new was acknowledged. */
  readonly doublings: number;
  /** The slowest round trip of late. */
  readonly rttMs: number;
}

/** The times between what the sender sent or learnt, if they are long. */
export function waits(sent: LoggedSegment[], answers: LoggedSegment[]): Wait[] {
  const found: Wait[] = [];
  let una = -1;
  let top = -1;
  let sinceMs = Number.POSITIVE_INFINITY;
  let doublings = 0;
  let unaSentMs = 0;
  const rtts: { atMs: number; rttMs: number }[] = [];
  const leftAt = timestampClock(sent);
  const isKernel = sent[0]?.direction === "in";
  const events = [...sent, ...answers.filter((one) => !one.gone)].sort((a, b) => a.atMs - b.atMs);
  for (const one of events) {
    const isAnswer = one.direction !== sent[0]?.direction;
    const acks = isAnswer && (una < 0 || seq.gt(one.ack, una));
    const sacks = isAnswer && one.sackTop >= 0 && (top < 0 || seq.gt(one.sackTop, top));
    if (isAnswer && !acks && !sacks) continue; // nothing new
    if (one.atMs - sinceMs > WAIT_MS && una >= 0) {
      const lately = rtts.filter(({ atMs }) => atMs > one.atMs - RTT_MEMORY_MS).map(({ rttMs }) => rttMs);
      found.push({ fromMs: sinceMs, toMs: one.atMs, una, doublings, rttMs: Math.max(0, ...lately) });
      doublings++;
    }
    sinceMs = one.atMs;
    if (!isAnswer && covers(one, una)) unaSentMs = one.atMs;
    if (acks) {
      const leftMs = leftAt(one.tsEcr);
      // The kernel measures by an echo that is older than the last copy, too; the stack does not.
      if (una >= 0 && (isKernel || unaSentMs < leftMs + WAIT_MS))
        rtts.push({ atMs: one.atMs, rttMs: one.atMs - leftMs });
      una = one.ack;
      doublings = 0;
    }
    if (sacks) top = one.sackTop;
    // Of a first SYN nothing is acknowledged yet.
    if (una < 0 && one.syn && !isAnswer) una = one.seq;
  }
  return found;
}

/** When a segment with this timestamp left, whether or not it was read at once: the sender's clock counts milliseconds. */
export function timestampClock(sent: LoggedSegment[]): (tsVal: number) => number {
  const first = sent.find((one) => one.tsVal >= 0);
  if (first === undefined) return () => Number.POSITIVE_INFINITY;
  let zeroMs = Number.POSITIVE_INFINITY;
  for (const one of sent) zeroMs = Math.min(zeroMs, one.atMs - seq.diff(one.tsVal, first.tsVal));
  return (tsVal) => zeroMs + seq.diff(tsVal, first.tsVal);
}

/** Is this number one of the segment's? */
export function covers(one: LoggedSegment, number: number): boolean {
  return seq.inWindow(number, one.seq, seq.diff(one.end, one.seq));
}
