import { ACK, FIN, PSH, SYN } from "../wire/mod.ts";
import { onIdle, onTimeout } from "./congestion.ts";
import { rememberState } from "./eifel.ts";
import { SCOREBOARD_RUNS, SYN_TIMEOUT_MS, WORTH_A_FRAME } from "./limits.ts";
import { armProbe, giveUpWaiting, inPipe, probeTail, resendLost } from "./recovery.ts";
import { backOff, currentRtoMs, rtoFrom, startTiming } from "./rto.ts";
import { addRun, markAllLost } from "./scoreboard.ts";
import * as seq from "./seq.ts";
import { flight, type SegmentSink, shortenFrames, type Tcb } from "./tcb.ts";
import { announce } from "./window.ts";

/** "whole-frames": more text is about to come, and `output` will be called again for what is left over. */
export type Sendable = "all" | "whole-frames";

/**
 * Sends what may be sent now: SYN, text, FIN, or else the ACK that is owed
 * (RFC 9293 §3.8). There is no Nagle delay: what comes in one write goes out in
 * one frame, and a proxied protocol's small request must not wait.
 */
export function output(tcb: Tcb, now: number, sink: SegmentSink, what: Sendable = "all"): void {
  if (tcb.state === "SYN-SENT" || tcb.state === "SYN-RECEIVED") {
    outputSyn(tcb, now, sink);
    return;
  }
  if (tcb.state !== "CLOSED") outputText(tcb, now, sink, what);
  if (tcb.rcv.ack !== "none") sendAck(tcb, sink);
}

/** An empty ACK, whether owed or not. */
export function sendAck(tcb: Tcb, sink: SegmentSink): void {
  sink.send(tcb, bareSeq(tcb), ACK, announce(tcb), 0, 0);
}

/**
 * The number of a segment without text. While probing, the probed octet may
 * not have been taken: a number behind it could lie outside a closed window.
 */
export function bareSeq(tcb: Tcb): number {
  return tcb.timer.persist ? tcb.snd.nxt : tcb.snd.max;
}

function outputSyn(tcb: Tcb, now: number, sink: SegmentSink): void {
  const { snd, rcv, timer } = tcb;
  if (snd.nxt !== snd.iss) return;
  const again = snd.max !== snd.iss;
  snd.nxt = seq.add(snd.iss, 1);
  snd.max = snd.nxt;
  if (again) tcb.rtt.timing = false;
  else startTiming(tcb.rtt, snd.nxt, now);
  if (timer.atMs === 0) timer.atMs = rtoFrom(tcb.rtt, now);
  rcv.ack = "none";
  if (tcb.state === "SYN-SENT") sink.send(tcb, snd.iss, SYN, 65_535, 0, 0);
  else sink.send(tcb, snd.iss, SYN | ACK, Math.min(65_535, seq.diff(rcv.adv, rcv.nxt)), 0, 0);
}

function outputText(tcb: Tcb, now: number, sink: SegmentSink, what: Sendable): void {
  const { snd } = tcb;
  const { board } = snd;
  if (board !== undefined && board.lostOctets > 0) resendLost(tcb, board, now, sink);
  if (flight(snd) === 0 && now - snd.lastSentMs > currentRtoMs(tcb.rtt)) onIdle(tcb.cc, snd.mss);
  for (;;) {
    const sent = seq.diff(snd.nxt, snd.una);
    const available = snd.queue.octets - sent;
    if (available < 0 || snd.finAcked) break; // the FIN is out
    if (what === "whole-frames" && available < Math.min(snd.frameTextMax, WORTH_A_FRAME)) return;
    // New text waits for what is lost, and for room to keep an account of it.
    if (board !== undefined && (board.lostOctets > 0 || board.runs.length >= SCOREBOARD_RUNS)) break;
    const usable = Math.min(snd.wnd - sent, tcb.cc.cwnd - inPipe(tcb));
    const textLen = sendableText(tcb, available, usable);
    const fin = snd.finQueued && textLen === available && usable > textLen;
    if (textLen === 0 && !fin) break;
    sendText(tcb, now, sink, sent, textLen, fin);
  }
  const waiting = snd.queue.octets > 0 || (snd.finQueued && !snd.finAcked);
  if (waiting && snd.nxt === snd.una) startProbing(tcb, now);
  if (board !== undefined) armProbe(tcb, board, now);
}

/** How much text the next frame carries: whole segments, or all there is (§3.8.6.2.1 against silly windows). */
function sendableText(tcb: Tcb, available: number, usable: number): number {
  const { snd } = tcb;
  const room = Math.min(usable, snd.frameTextMax);
  if (room >= available) return available;
  if (room >= snd.mss) return room - (room % snd.mss);
  // A window below one segment is used when it is half of the largest that the peer ever had.
  return room > 0 && room >= snd.wndMax / 2 ? room : 0;
}

function sendText(tcb: Tcb, now: number, sink: SegmentSink, textAt: number, textLen: number, fin: boolean): void {
  const { snd, timer } = tcb;
  const start = snd.nxt;
  const isNew = start === snd.max;
  if (flight(snd) === 0 || timer.persist) timer.stalledSinceMs = Math.floor(now);
  snd.nxt = seq.add(start, textLen + (fin ? 1 : 0));
  snd.max = seq.max(snd.max, snd.nxt);
  snd.lastSentMs = Math.floor(now);
  timer.tailAtMs = 0;
  if (snd.board !== undefined) {
    addRun(snd.board, start, snd.nxt, now);
    if (tcb.cc.inRecovery) snd.board.prrOut += textLen;
  }
  if (isNew) startTiming(tcb.rtt, snd.nxt, now);
  if (timer.persist) tcb.rtt.backoff = 0; // those were probes
  if (timer.atMs === 0 || timer.persist) timer.atMs = rtoFrom(tcb.rtt, now); // RFC 6298 §5.1
  timer.persist = false;
  const pushed = textAt + textLen === snd.queue.octets ? PSH : 0;
  sink.send(tcb, start, ACK | (textLen > 0 ? pushed : 0) | (fin ? FIN : 0), announce(tcb), textAt, textLen);
}

/** Sends the first unacknowledged segment again (fast retransmit, RFC 5681 §3.2). */
export function resendFirst(tcb: Tcb, now: number, sink: SegmentSink): void {
  const { snd, timer } = tcb;
  const textLen = Math.min(snd.queue.octets, snd.mss);
  const fin = snd.finQueued && textLen === snd.queue.octets && seq.diff(snd.max, snd.una) > textLen;
  if (textLen === 0 && !fin) return;
  tcb.rtt.timing = false;
  timer.atMs = rtoFrom(tcb.rtt, now);
  sink.send(tcb, snd.una, ACK | (fin ? FIN : 0), announce(tcb), 0, textLen);
}

/** The window is closed, or too small to use: ask again and again (§3.8.6.1). */
function startProbing(tcb: Tcb, now: number): void {
  const { timer } = tcb;
  if (timer.persist) return;
  timer.persist = true;
  timer.stalledSinceMs = Math.floor(now);
  timer.atMs = rtoFrom(tcb.rtt, now);
}

/** When `expire` is to be called next; `undefined` when nothing is waited for. */
export function deadline(tcb: Tcb): number | undefined {
  const { timer } = tcb;
  if (tcb.state === "CLOSED" || tcb.state === "TIME-WAIT") return undefined;
  if (timer.atMs === 0) return keepAliveAt(tcb);
  let at = Math.min(timer.atMs, timer.stalledSinceMs + patience(tcb));
  if (timer.tailAtMs > 0) at = Math.min(at, timer.tailAtMs);
  if (timer.reorderAtMs > 0) at = Math.min(at, timer.reorderAtMs);
  return at;
}

function patience(tcb: Tcb): number {
  return tcb.state === "SYN-SENT" || tcb.state === "SYN-RECEIVED" ? SYN_TIMEOUT_MS : tcb.userTimeoutMs;
}

/** Only while nothing is outstanding: else the retransmission timer asks. */
function keepAliveAt(tcb: Tcb): number | undefined {
  const { timer, keepAlive } = tcb;
  if (keepAlive === undefined) return undefined;
  return timer.heardAtMs + keepAlive.idleMs + timer.keepAlives * keepAlive.intervalMs;
}

/** A segment whose number lies before the window: the peer must answer (RFC 9293 §3.8.4). */
function askAlive(tcb: Tcb, now: number, sink: SegmentSink): "alive" | "dead" {
  const { timer, keepAlive } = tcb;
  if (keepAlive === undefined || now < keepAliveAt(tcb)!) return "alive";
  if (timer.keepAlives >= keepAlive.count) {
    tcb.state = "CLOSED";
    return "dead";
  }
  timer.keepAlives++;
  sink.send(tcb, seq.add(bareSeq(tcb), -1), ACK, announce(tcb), 0, 0);
  return "alive";
}

/**
 * The deadline has come. "dead": the peer made no progress for too long and
 * the state is CLOSED. Otherwise `output` has been done.
 */
export function expire(tcb: Tcb, now: number, sink: SegmentSink): "alive" | "dead" {
  const { timer } = tcb;
  if (timer.atMs === 0) return askAlive(tcb, now, sink);
  if (now - timer.stalledSinceMs >= patience(tcb)) {
    tcb.state = "CLOSED";
    return "dead";
  }
  if (now < timer.atMs) {
    const { board } = tcb.snd;
    if (board === undefined) return "alive";
    if (timer.reorderAtMs > 0 && now >= timer.reorderAtMs) giveUpWaiting(tcb, board, now);
    if (timer.tailAtMs > 0 && now >= timer.tailAtMs) probeTail(tcb, board, now, sink);
    return "alive";
  }
  if (timer.persist) probe(tcb, now, sink);
  else retransmit(tcb, now, sink);
  return "alive";
}

/** RFC 6298 §5.4 to §5.6: everything from SND.UNA on is sent again, as the congestion window allows. */
function retransmit(tcb: Tcb, now: number, sink: SegmentSink): void {
  const { snd, rtt, timer } = tcb;
  const again = rtt.backoff > 0;
  backOff(rtt);
  if (!again && snd.board !== undefined) rememberState(tcb, snd.board, now, true);
  if (snd.una === snd.iss) tcb.synLost = true;
  else {
    shortenFrames(tcb);
    onTimeout(tcb.cc, snd.max, snd.mss, flight(snd), again);
  }
  timer.tailAtMs = 0;
  timer.reorderAtMs = 0;
  if (snd.board !== undefined && snd.una !== snd.iss) markAllLost(snd.board, again);
  else snd.nxt = snd.una;
  timer.atMs = rtoFrom(rtt, now);
  output(tcb, now, sink);
}

/** One octet, or what little fits, into the closed window. It is not counted as sent: `nxt` stays. */
function probe(tcb: Tcb, now: number, sink: SegmentSink): void {
  const { snd, rtt, timer } = tcb;
  const textLen = Math.min(snd.queue.octets, Math.max(1, Math.min(snd.wnd, snd.mss)));
  const fin = snd.finQueued && textLen === snd.queue.octets;
  snd.max = seq.max(snd.max, seq.add(snd.nxt, textLen + (fin ? 1 : 0)));
  backOff(rtt);
  timer.atMs = rtoFrom(rtt, now);
  sink.send(tcb, snd.nxt, ACK | (fin ? FIN : 0), announce(tcb), 0, textLen);
}
