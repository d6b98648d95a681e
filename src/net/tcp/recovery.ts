import { ACK, FIN, TIMESTAMPS_LEN } from "../wire/mod.ts";
import { enterRecovery, grow } from "./congestion.ts";
import { rememberState, takeSpurious, undoRecovery } from "./eifel.ts";
import { MIN_PROBE_MS, PROBE_ACK_DELAY_MS } from "./limits.ts";
import { detectLosses, onDelivered, onDuplicate } from "./rack.ts";
import { rtoFrom } from "./rto.ts";
import { acknowledgeRuns, markLost, markResent, type Run, type Scoreboard, sackBlock, splitRun } from "./scoreboard.ts";
import * as seq from "./seq.ts";
import { flight, type SegmentSink, setMss, shortenFrames, type Tcb } from "./tcb.ts";
import { announce } from "./window.ts";

/** Octets believed to be on their way (RFC 6675 §4, Pipe). */
export function inPipe(tcb: Tcb): number {
  const { snd } = tcb;
  const sent = seq.diff(snd.nxt, snd.una);
  return snd.board === undefined ? sent : sent - snd.board.sackedOctets - snd.board.lostOctets;
}

/**
 * An ACK on a connection with SACK: updates the scoreboard and the congestion
 * window. SND.UNA has not moved yet. True: something was found to be lost.
 */
export function takeSack(
  tcb: Tcb,
  board: Scoreboard,
  ack: number,
  sack: readonly number[] | undefined,
  now: number,
  echoAgeMs: number,
): boolean {
  const { snd, cc } = tcb;
  const echoMs = echoAgeMs < 0 ? -1 : Math.floor(now) - echoAgeMs;
  const acked = Math.max(0, seq.diff(ack, snd.una));
  const una = seq.max(ack, snd.una);
  const undo = acked > 0 ? takeSpurious(board, echoMs) : undefined;
  let delivered = acked > 0 ? acknowledgeRuns(board, ack, now, echoMs, onDelivered) : 0;
  let duplicate = false;
  if (sack !== undefined) {
    // A D-SACK stands first and lies before the ACK (RFC 2883 §4).
    duplicate = seq.le(sack[1]!, una);
    for (let i = 0; i < sack.length; i += 2) {
      delivered += sackBlock(board, sack[i]!, sack[i + 1]!, now, echoMs, onDelivered);
    }
    if (duplicate) onDuplicate(board, una, snd.nxt);
  }
  const repaired = endProbe(board, una, duplicate, echoMs);
  if (acked === 0 && delivered === 0) return false;
  tcb.timer.tailAtMs = 0;
  if (undo !== undefined) undoRecovery(tcb, board, undo, una, acked);
  const before = board.lostOctets;
  // While losses are repaired anyway, every sign of life makes room for the next probe.
  const repairing = cc.inRecovery || seq.lt(snd.una, cc.recover);
  if (repairing) board.probeEnd = undefined;
  lookForLosses(tcb, board, now);
  if (cc.inRecovery) {
    if (seq.ge(una, cc.recover)) leaveRecovery(tcb, board);
    else proportion(tcb, board, delivered, una);
  } else if (board.lostOctets > before && seq.ge(una, cc.recover)) {
    beginRecovery(tcb, board, delivered, una, now);
  } else if (acked > 0) {
    grow(cc, acked, ack, snd.mss);
    // What the probe repaired was a loss all the same (RFC 8985 §7.4.2).
    if (repaired && !repairing) cc.cwnd = cc.ssthresh = Math.max(Math.floor(cc.cwnd / 2), 2 * snd.mss);
  }
  if (seq.ge(una, snd.nxt)) board.resent = false;
  return board.lostOctets > before;
}

function lookForLosses(tcb: Tcb, board: Scoreboard, now: number): void {
  tcb.timer.reorderAtMs = 0;
  // In order all the way: nothing can be missing.
  if (board.sackedOctets === 0 && !board.resent) return;
  const waitMs = detectLosses(board, now, tcb.snd.mss, tcb.cc.inRecovery);
  if (waitMs > 0) tcb.timer.reorderAtMs = Math.ceil(now + waitMs);
}

function beginRecovery(tcb: Tcb, board: Scoreboard, delivered: number, una: number, now: number): void {
  const { snd, cc } = tcb;
  rememberState(tcb, board, now, false);
  shortenFrames(tcb);
  enterRecovery(cc, snd.max, snd.mss, flight(snd));
  board.recoverFlight = flight(snd);
  board.prrDelivered = 0;
  board.prrOut = 0;
  board.probeEnd = undefined;
  proportion(tcb, board, delivered, una);
}

function leaveRecovery(tcb: Tcb, board: Scoreboard): void {
  const { cc } = tcb;
  cc.inRecovery = false;
  cc.cwnd = cc.ssthresh;
  board.recoverFlight = 0;
}

/** Proportional rate reduction: the window for what this ACK allows to send (RFC 9937 §6). */
function proportion(tcb: Tcb, board: Scoreboard, delivered: number, una: number): void {
  const { snd, cc } = tcb;
  const pipe = seq.diff(snd.nxt, una) - board.sackedOctets - board.lostOctets;
  board.prrDelivered += delivered;
  let allowed: number;
  if (pipe > cc.ssthresh) {
    allowed = Math.ceil((board.prrDelivered * cc.ssthresh) / board.recoverFlight) - board.prrOut;
  } else {
    // Progress: slow start back to the threshold; else conserve packets.
    const limit = Math.max(board.prrDelivered - board.prrOut, delivered) + snd.mss;
    allowed = Math.min(cc.ssthresh - pipe, limit);
  }
  // The first retransmission leaves in any case.
  if (board.prrOut === 0) allowed = Math.max(allowed, snd.mss);
  cc.cwnd = pipe + Math.max(0, allowed);
}

/** The reordering timer ran out (RFC 8985 §6.3). */
export function giveUpWaiting(tcb: Tcb, board: Scoreboard, now: number): void {
  const { snd, cc } = tcb;
  lookForLosses(tcb, board, now);
  if (board.lostOctets > 0 && !cc.inRecovery && seq.ge(snd.una, cc.recover)) beginRecovery(tcb, board, 0, snd.una, now);
}

/** Sends what is lost again, as the congestion window allows (RFC 6675 §5, NextSeg rule 1). */
export function resendLost(tcb: Tcb, board: Scoreboard, now: number, sink: SegmentSink): void {
  const { snd, cc } = tcb;
  for (let at = 0; board.lostOctets > 0 && at < board.runs.length; at++) {
    const run = board.runs[at]!;
    if (!run.lost) continue;
    const room = cc.cwnd - inPipe(tcb);
    const length = seq.diff(run.end, run.seq);
    if (room < Math.min(length, snd.mss)) return;
    const part = Math.min(length, snd.frameTextMax, room < length ? room - (room % snd.mss) : length);
    if (part < length && !splitRun(board, at, seq.add(run.seq, part))) {
      // The table is full: the whole of it is sent, in several frames.
      for (let done = 0; done < length; done += snd.mss)
        sendPart(tcb, run.seq, done, Math.min(snd.mss, length - done), sink);
      sent(tcb, board, run, now);
      continue;
    }
    sendPart(tcb, run.seq, 0, part, sink);
    sent(tcb, board, run, now);
  }
}

function sent(tcb: Tcb, board: Scoreboard, run: Run, now: number): void {
  if (run.seq === tcb.snd.una) tcb.timer.atMs = rtoFrom(tcb.rtt, now);
  tcb.rtt.timing = false;
  tcb.timer.tailAtMs = 0;
  tcb.snd.lastSentMs = Math.floor(now);
  markResent(board, run, now);
  board.prrOut += seq.diff(run.end, run.seq);
}

/** Numbers that were sent before: text, and the FIN if it is among them. */
function sendPart(tcb: Tcb, start: number, skip: number, length: number, sink: SegmentSink): void {
  const { snd } = tcb;
  const from = seq.add(start, skip);
  const textAt = seq.diff(from, snd.una);
  const textLen = Math.min(length, snd.queue.octets - textAt);
  sink.send(tcb, from, ACK | (textLen < length ? FIN : 0), announce(tcb), textAt, textLen);
}

/**
 * Arms the tail-loss probe after something was sent or acknowledged (RFC 8985
 * §7.2). Against that section's SHOULD also while losses are repaired, as QUIC
 * does (RFC 9002 §6.2): with few segments in flight nothing else shows that a
 * retransmission was lost, and each timeout doubles the wait for the next.
 */
export function armProbe(tcb: Tcb, board: Scoreboard, now: number): void {
  const { snd, timer, rtt } = tcb;
  const outstanding = seq.diff(snd.nxt, snd.una);
  if (outstanding === 0 || timer.persist || timer.reorderAtMs > 0) {
    timer.tailAtMs = 0;
    return;
  }
  // Armed, it stays: what else arrives or leaves meanwhile must not put it off.
  if (timer.tailAtMs > 0 || board.probeEnd !== undefined || rtt.srttMs < 0) return;
  const delayMs = outstanding <= snd.mss ? PROBE_ACK_DELAY_MS : 0;
  const at = Math.ceil(now + Math.max(2 * rtt.srttMs, MIN_PROBE_MS) + delayMs);
  if (at < timer.atMs) timer.tailAtMs = at;
}

/** Nothing has come back for two round trips: the last segment in flight again, so that its ACK shows what is missing. */
export function probeTail(tcb: Tcb, board: Scoreboard, now: number, sink: SegmentSink): void {
  const { snd, timer } = tcb;
  timer.tailAtMs = 0;
  const at = board.runs.findLastIndex((run) => !run.sacked && !run.lost);
  const last = board.runs[at];
  if (last === undefined) return;
  const whole = seq.diff(last.end, last.seq);
  const length = Math.min(snd.mss, whole);
  board.probeEnd = snd.nxt;
  board.probedAtMs = now;
  timer.atMs = rtoFrom(tcb.rtt, now);
  tcb.rtt.timing = false;
  sendPart(tcb, last.seq, whole - length, length, sink);
  if (length === whole) markResent(board, last, now);
  else if (splitRun(board, at, seq.add(last.end, -length))) markResent(board, board.runs[at + 1]!, now);
}

/** Whether the answer to the probe shows that it has repaired a loss (RFC 8985 §7.4). */
function endProbe(board: Scoreboard, una: number, duplicate: boolean, echoMs: number): boolean {
  const { probeEnd } = board;
  if (probeEnd === undefined || seq.lt(una, probeEnd)) return false;
  // By its timestamp the answer is the first copy's or the probe's. Without, a D-SACK may still come.
  if (!duplicate && echoMs < 0 && una === probeEnd) return false;
  board.probeEnd = undefined;
  return !duplicate && (echoMs < 0 || echoMs >= Math.floor(board.probedAtMs));
}

/**
 * The path takes no more than `mss` octets of options and text: what is
 * outstanding goes again in smaller segments (RFC 1191 §6.5). That is no sign
 * of congestion. False: it is not less than before.
 */
export function lowerMss(tcb: Tcb, mss: number): boolean {
  const { snd } = tcb;
  const before = snd.mss;
  if (tcb.state === "SYN-SENT" || tcb.state === "SYN-RECEIVED") return false;
  setMss(tcb, Math.min(mss, before + (tcb.ts === undefined ? 0 : TIMESTAMPS_LEN)));
  if (snd.mss >= before) return false;
  if (snd.board === undefined) snd.nxt = snd.una;
  else for (const run of snd.board.runs) if (!run.sacked && !run.lost) markLost(snd.board, run);
  return true;
}
