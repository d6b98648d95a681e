/**
 * Why a transfer stood still: what the shim's log says about each wait in a
 * pause. A sender may be silent only while something that it has sent, or what
 * came back for it, was lost, and no longer than its retransmission timer says.
 * That a process did not run, or read its device too slowly, is no loss; it is
 * told apart.
 */
import { seq } from "../../src/net/tcp/mod.ts";
import type { Span } from "./bulk-side.ts";
import type { DecisionLog, Direction, LoggedSegment } from "./decision-log.ts";
import { covers, timestampClock, WAIT_MS, type Wait, waits } from "./waits.ts";

export interface Pause {
  /** Of the octets that did not come. */
  readonly direction: Direction;
  /** Milliseconds since 1970. */
  readonly startMs: number;
  readonly endMs: number;
}

export interface Explanation {
  readonly explained: boolean;
  readonly text: string;
}

/** A pause counts from here on. */
export const NOTED_MS = 1_000;
/** A pause is measured by two processes' clocks, and told after the frame that ended it. */
const CLOCK_MS = 60;
/** From an octet's arrival to its being told by a process on a busy machine. */
const TELLING_MS = 500;
/** Both sides' least retransmission timeout is 200 ms, and a busy machine is late; before the first round trip 1 s. */
const RTO_MS = 300;
const FIRST_RTO_MS = 1_100;
const LATE_MS = 150;
/** A slow round trip makes the timeout longer by up to twice itself (RFC 6298 §2.3: an eighth of it, and 4 quarters). */
const RTT_WEIGHT = 2;
/** A frame that is overtaken arrives up to so much later than it is logged, on a busy machine. */
const OVERTAKEN_MS = 50;
/** What happened so long before a pause may be its reason. */
const LEAD_MS = 130_000;

/**
 * `explained`: every wait in the pause is covered by the loss of each
 * transmission of what was waited for. `standstills`: when one of the processes
 * did not run.
 */
export function explain(log: DecisionLog, pause: Pause, standstills: readonly Span[] = []): Explanation {
  const lengthMs = pause.endMs - pause.startMs;
  const title = `${(lengthMs / 1000).toFixed(2)} s without progress ${pause.direction}`;
  const asleepMs = overlapMs(standstills, pause.startMs, pause.endMs);
  if (lengthMs - asleepMs < NOTED_MS) {
    return { explained: true, text: `${title}; a process stood still for ${(asleepMs / 1000).toFixed(2)} s` };
  }
  const segments = log.segments(pause.startMs - LEAD_MS, pause.endMs + CLOCK_MS);
  const sent = segments.filter((one) => one.direction === pause.direction && one.end !== one.seq);
  const answers = segments.filter((one) => one.direction !== pause.direction && one.ack >= 0);
  const clock = (atMs: number) => `${((atMs - pause.startMs) / 1000).toFixed(2)} s`;
  const doubts: string[] = [];
  const reasons: string[] = [];
  let coveredMs = 0;
  const young = segments.some((one) => one.syn && one.atMs > pause.startMs - FIRST_RTO_MS);
  for (const wait of waits(sent, answers)) {
    if (wait.toMs <= pause.startMs + CLOCK_MS || wait.fromMs >= pause.endMs) continue;
    const stoodMs = overlapMs(standstills, wait.fromMs, wait.toMs);
    const waitedMs = wait.toMs - wait.fromMs - stoodMs;
    const { reason, lost } = whyWaiting(wait, sent, answers);
    const stood = stoodMs > 0 ? `a process stood still for ${(stoodMs / 1000).toFixed(2)} s, ` : "";
    const when = `${clock(wait.fromMs)} to ${clock(wait.toMs)}: ${stood}${reason}`;
    const timeoutMs = (young ? FIRST_RTO_MS : RTO_MS) + RTT_WEIGHT * wait.rttMs;
    if (waitedMs > WAIT_MS && !lost) doubts.push(when);
    else if (waitedMs > timeoutMs * 2 ** wait.doublings + LATE_MS)
      doubts.push(`${when}, but that is too long for its timer`);
    reasons.push(when);
    coveredMs += Math.min(wait.toMs, pause.endMs) - Math.max(wait.fromMs, pause.startMs);
  }
  const doubt = whyMissing(pause, sent, answers, standstills, lengthMs - coveredMs);
  if (doubt !== undefined) doubts.push(doubt);
  const text = `${title}; ${reasons.join("; ")}`;
  if (doubts.length === 0) return { explained: true, text };
  const last = answers.findLast((one) => one.atMs < pause.endMs - CLOCK_MS && !one.gone);
  const state = last && `; last heard: ack ${last.ack} wnd ${last.wnd} tsval ${last.tsVal} tsecr ${last.tsEcr}`;
  return { explained: false, text: `${text}; UNEXPLAINED ${doubts.join("; ")}${state ?? ""}` };
}

function overlapMs(spans: readonly Span[], fromMs: number, toMs: number): number {
  let sum = 0;
  for (const [start, end] of spans) sum += Math.max(0, Math.min(end, toMs) - Math.max(start, fromMs));
  return Math.min(sum, toMs - fromMs);
}

/** What was lost of that which could have ended the wait. */
function whyWaiting(wait: Wait, sent: LoggedSegment[], answers: LoggedSegment[]): { reason: string; lost: boolean } {
  const copies = sent.filter((one) => one.atMs <= wait.fromMs && covers(one, wait.una));
  const octet = `octet ${wait.una}`;
  if (copies.length === 0) return { reason: `${octet} was not sent yet`, lost: false };
  const arrived = copies.find((one) => !one.gone && !isTooOld(one, wait.una, answers));
  if (arrived === undefined) {
    const old = copies.filter((one) => !one.gone).length;
    const refused = old > 0 ? `, and ${old} times too old when it came` : "";
    return { reason: `${octet} was lost ${copies.length - old} times${refused}`, lost: true };
  }
  const news = answers.filter((one) => one.atMs >= arrived.atMs && seq.gt(one.ack, wait.una));
  const lost = news.filter((one) => one.gone && one.atMs < wait.toMs).length;
  const reason = `${octet} had arrived, ${lost} ACKs of it were lost`;
  if (lost > 0) return { reason, lost: true };
  const answer = news.find((one) => !one.gone);
  const leftMs = answer === undefined ? Number.POSITIVE_INFINITY : timestampClock(answers)(answer.tsVal);
  if (answer === undefined || leftMs > wait.fromMs + WAIT_MS) return { reason, lost: false };
  return {
    reason: `${octet} had arrived, its ACK lay unread for ${((answer.atMs - leftMs) / 1000).toFixed(2)} s`,
    lost: true,
  };
}

/** A doubt about the octet that the receiver was missing, or about the time in which the sender was not silent. */
function whyMissing(
  pause: Pause,
  sent: LoggedSegment[],
  answers: LoggedSegment[],
  standstills: readonly Span[],
  busyMs: number,
): string | undefined {
  const middleMs = (pause.startMs + pause.endMs) / 2;
  const leftAt = timestampClock(answers);
  const asked = answers.filter((one) => Math.min(one.atMs, leftAt(one.tsVal)) <= middleMs);
  if (asked.length === 0) return undefined;
  const missing = asked.map((one) => one.ack).reduce(seq.max);
  const copies = sent.filter((one) => covers(one, missing));
  const arrived = copies.find((one) => !one.gone && !isTooOld(one, missing, answers));
  if (arrived !== undefined) {
    const untoldMs = pause.endMs - arrived.atMs - overlapMs(standstills, arrived.atMs, pause.endMs);
    const at = ((arrived.atMs - pause.startMs) / 1000).toFixed(2);
    if (untoldMs > TELLING_MS) return `octet ${missing} had arrived at ${at} s`;
  }
  const lostCopies = copies.filter((one) => one.gone && one.atMs > pause.startMs - CLOCK_MS).length;
  if (busyMs < NOTED_MS || lostCopies > 0) return undefined;
  return `the sender was busy for ${(busyMs / 1000).toFixed(2)} s, but not with octet ${missing}`;
}

/**
 * Overtaken by something that was sent again: its timestamp is older than what
 * the receiver echoes, which drops it (PAWS, RFC 7323 §5.3) and still asks for
 * the octet.
 */
function isTooOld(one: LoggedSegment, octet: number, answers: LoggedSegment[]): boolean {
  return answers.some(
    ({ atMs, ack, tsEcr }) =>
      atMs >= one.atMs && atMs <= one.atMs + OVERTAKEN_MS && seq.gt(tsEcr, one.tsVal) && seq.le(ack, octet),
  );
}
