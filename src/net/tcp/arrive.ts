import type { Chunk } from "../../base/mod.ts";
import { ACK, FIN, RST, SYN, type TcpSegment } from "../wire/mod.ts";
import { narrow } from "./chunks.ts";
import { onDupAck, onNewAck } from "./congestion.ts";
import { RTO_AFTER_SYN_LOSS_MS } from "./limits.ts";
import { keep, takeBlock } from "./reassembly.ts";
import { takeSack } from "./recovery.ts";
import { rtoFrom, sampleAck } from "./rto.ts";
import { noteArrival } from "./sack.ts";
import * as seq from "./seq.ts";
import { flight, type Synchronized, stateAfterClose, stateAfterFin, type Tcb, takeOffer } from "./tcb.ts";
import { echoAgeMs, isOld, takeTimestamp } from "./timestamps.ts";
import { rightEdge, tuneWindow } from "./window.ts";

/** What a segment did, for the owner of the TCB to act upon: a set of bits. */
export type Arrival = number;

export const arrival = {
  /** The handshake is done. */
  ESTABLISHED: 1,
  /** Octets of ours were acknowledged and have left `snd.queue`. */
  ACKED: 2,
  /** Text is ready in `rcv.queue`. */
  TEXT: 4,
  /** The peer's FIN was reached. */
  FIN: 8,
  /** The peer reset the connection: the state is CLOSED. */
  RESET: 16,
  /** Answer with an ACK, within the limit for challenges (RFC 5961 §7). */
  CHALLENGE: 32,
  /** Answer with a RST whose number is the segment's ACK. */
  REPLY_RST: 64,
  /** The first unacknowledged segment is lost: `output` sends it again. */
  LOST: 128,
  /** Text came out of order: a duplicate ACK of its own, so that the peer can count them (RFC 5681 §4.2). */
  GAP: 256,
  /** Dropped: it lacks the timestamp that was agreed upon. */
  STRAY: 512,
} as const;

type Segment = Omit<TcpSegment, "srcPort" | "dstPort" | "textAt" | "textLen">;

/**
 * A segment for this connection (RFC 9293 §3.10.7). Takes `text` over; absent
 * when the segment has none. Replies are made by `output` afterwards, as
 * `rcv.ack` and the queues ask for; only what the result names is extra.
 */
export function arrive(tcb: Tcb, seg: Segment, text: Chunk | undefined, now: number): Arrival {
  switch (tcb.state) {
    case "CLOSED":
    case "TIME-WAIT":
      text?.release();
      return 0;
    case "SYN-SENT":
      text?.release(); // the peer sends it again
      return arriveSynSent(tcb, seg, now);
    default:
      return arriveSynchronized(tcb, seg, text, now);
  }
}

/** RFC 9293 §3.10.7.3. */
function arriveSynSent(tcb: Tcb, seg: Segment, now: number): Arrival {
  const { snd } = tcb;
  const hasAck = (seg.flags & ACK) !== 0;
  if (hasAck && (seq.le(seg.ack, snd.iss) || seq.gt(seg.ack, snd.max))) {
    return seg.flags & RST ? 0 : arrival.REPLY_RST;
  }
  if (seg.flags & RST) {
    if (!hasAck) return 0;
    tcb.state = "CLOSED";
    return arrival.RESET;
  }
  if ((seg.flags & SYN) === 0) return 0;
  takeOffer(tcb, seg, now);
  tcb.rcv.ack = "now";
  if (!hasAck) {
    // Simultaneous open: our SYN is sent again, as SYN-ACK.
    tcb.state = "SYN-RECEIVED";
    snd.nxt = snd.iss;
    return 0;
  }
  return establish(tcb, seg, now);
}

/** Our SYN is acknowledged. */
function establish(tcb: Tcb, seg: Segment, now: number): Arrival {
  const { snd, rtt } = tcb;
  tcb.state = snd.finQueued ? stateAfterClose("ESTABLISHED") : "ESTABLISHED";
  snd.una = seq.add(snd.iss, 1);
  snd.nxt = seq.max(snd.nxt, snd.una);
  snd.wl1 = seg.seq;
  snd.wl2 = seg.ack;
  sampleAck(rtt, seg.ack, now, echoAge(tcb, seg, now));
  if (tcb.synLost && rtt.srttMs < 0) rtt.rtoMs = RTO_AFTER_SYN_LOSS_MS; // RFC 6298 §5.7
  tcb.timer.atMs = 0;
  tcb.timer.stalledSinceMs = Math.floor(now);
  return arrival.ESTABLISHED;
}

function echoAge(tcb: Tcb, seg: Segment, now: number): number {
  return tcb.ts === undefined || seg.tsVal < 0 ? -1 : echoAgeMs(tcb.ts, seg.tsEcr, now);
}

/** RFC 9293 §3.10.7.4: the eight checks in their order (the third, security, and the sixth, URG, are empty here). */
function arriveSynchronized(tcb: Tcb, seg: Segment, text: Chunk | undefined, now: number): Arrival {
  const textLen = text === undefined ? 0 : text.bytes.length;
  const edge = rightEdge(tcb);
  if (tcb.ts !== undefined && !(seg.flags & RST)) {
    // RFC 7323 §3.2: without the option it is none of this connection's. §5.3 R1: an old one is answered.
    if (seg.tsVal < 0 || isOld(tcb.ts, seg.tsVal, now)) {
      text?.release();
      return seg.tsVal < 0 ? arrival.STRAY : outdated(tcb, textLen);
    }
    if (acceptable(tcb, seg, textLen, edge)) takeTimestamp(tcb.ts, seg.tsVal, seg.seq, tcb.rcv.lastAck, now);
  }
  if (!acceptable(tcb, seg, textLen, edge)) {
    text?.release();
    return unacceptable(tcb, seg, textLen, now);
  }
  if (seg.flags & RST) {
    text?.release();
    // RFC 5961 §3.2: a blind attacker must hit the very number.
    if (seg.seq !== tcb.rcv.nxt) return arrival.CHALLENGE;
    tcb.state = "CLOSED";
    return arrival.RESET;
  }
  if (seg.flags & SYN) {
    text?.release();
    return arrival.CHALLENGE; // RFC 5961 §4.2
  }
  if ((seg.flags & ACK) === 0) {
    text?.release();
    return 0;
  }
  const acked = acknowledge(tcb, seg, textLen, now);
  if (acked & (arrival.REPLY_RST | arrival.CHALLENGE) || tcb.state === "CLOSED") {
    text?.release();
    return acked;
  }
  let result = acked;
  const finSeq = seq.add(seg.seq, textLen);
  if (text !== undefined) {
    const before = tcb.rcv.nxt;
    result |= takeText(tcb, seg.seq, text, edge);
    if (tcb.rcv.nxt !== before) tuneWindow(tcb, seq.diff(tcb.rcv.nxt, before), now);
  }
  if (seg.flags & FIN && seq.le(finSeq, edge)) noteFin(tcb, finSeq);
  return result | takeFin(tcb);
}

/** First check, §3.4. A FIN right at RCV.NXT is taken though the window be closed: it needs no room. */
function acceptable(tcb: Tcb, seg: Segment, textLen: number, edge: number): boolean {
  const { nxt } = tcb.rcv;
  // One past the window as well: where a pure ACK stands once the window is filled.
  if (textLen === 0) return seq.ge(seg.seq, nxt) && seq.le(seg.seq, edge);
  // Any overlap: a super-segment may begin before the window and end behind it.
  return seq.lt(seg.seq, edge) && seq.gt(seq.add(seg.seq, textLen), nxt);
}

/** PAWS: answered as any segment outside of the window. */
function outdated(tcb: Tcb, textLen: number): Arrival {
  if (textLen === 0) return arrival.CHALLENGE;
  tcb.rcv.ack = "now";
  return 0;
}

/** An unacceptable segment is answered by an ACK and dropped; but what it says of our data may hold (§3.10.7.4). */
function unacceptable(tcb: Tcb, seg: Segment, textLen: number, now: number): Arrival {
  if (seg.flags & RST) return 0;
  if (tcb.state === "SYN-RECEIVED" && seg.flags & SYN && seg.seq === tcb.rcv.irs) {
    // Both have opened, and this SYN-ACK is the peer's answer (§3.5, figure 7).
    if (seg.flags & ACK && seg.ack === tcb.snd.max) {
      tcb.rcv.ack = "now";
      return establish(tcb, seg, now);
    }
    if (tcb.ts !== undefined) takeTimestamp(tcb.ts, seg.tsVal, seg.seq, tcb.rcv.lastAck, now);
    // The SYN again: our SYN-ACK was lost. A bare ACK would not help the peer, which is in SYN-SENT.
    tcb.snd.nxt = tcb.snd.iss;
    return 0;
  }
  // Text and FIN outside the window are duplicates or probes: they must be answered. An ACK could be made to loop.
  const duplicate = textLen > 0 || (seg.flags & FIN) !== 0;
  if (duplicate) tcb.rcv.ack = "now";
  const atClosedWindow = seg.seq === tcb.rcv.nxt && (seg.flags & (ACK | SYN)) === ACK;
  const acked = atClosedWindow ? acknowledge(tcb, seg, textLen, now) : 0;
  return duplicate ? acked : acked | arrival.CHALLENGE;
}

/** Fifth check: the ACK field. */
function acknowledge(tcb: Tcb, seg: Segment, textLen: number, now: number): Arrival {
  const { snd, timer } = tcb;
  let result = 0;
  if (tcb.state === "SYN-RECEIVED") {
    if (seq.le(seg.ack, snd.una) || seq.gt(seg.ack, snd.max)) return arrival.REPLY_RST;
    result = establish(tcb, seg, now);
    snd.wnd = seg.wnd << snd.scale;
    snd.wndMax = Math.max(snd.wndMax, snd.wnd);
  }
  // RFC 5961 §5.2: neither of the future nor older than any window.
  if (seq.gt(seg.ack, snd.max) || seq.lt(seg.ack, seq.add(snd.una, -snd.wndMax))) return arrival.CHALLENGE;
  const isNew = seq.gt(seg.ack, snd.una);
  if (snd.board !== undefined && !timer.persist) {
    if (takeSack(tcb, snd.board, seg.ack, seg.sack, now, echoAge(tcb, seg, now))) result |= arrival.LOST;
  }
  if (isNew) result |= newAck(tcb, seg, now);
  else if (snd.board === undefined && isDuplicate(tcb, seg, textLen)) {
    if (onDupAck(tcb.cc, snd.una, snd.max, snd.mss, flight(snd))) result |= arrival.LOST;
  }
  updateWindow(tcb, seg, now);
  stateAfterAck(tcb);
  return result;
}

/** RFC 5681 §2. */
function isDuplicate(tcb: Tcb, seg: Segment, textLen: number): boolean {
  const { snd } = tcb;
  return (
    textLen === 0 &&
    (seg.flags & FIN) === 0 &&
    seg.ack === snd.una &&
    flight(snd) > 0 &&
    !tcb.timer.persist &&
    seg.wnd << snd.scale === snd.wnd
  );
}

function newAck(tcb: Tcb, seg: Segment, now: number): Arrival {
  const { snd, timer } = tcb;
  const { ack } = seg;
  const acked = seq.diff(ack, snd.una);
  const textAcked = Math.min(acked, snd.queue.octets);
  snd.queue.drop(textAcked);
  // The one number behind the text is the FIN's.
  if (acked > textAcked) snd.finAcked = true;
  snd.una = ack;
  snd.nxt = seq.max(snd.nxt, ack);
  tcb.softError = false;
  const left = flight(snd);
  const lost = snd.board === undefined && onNewAck(tcb.cc, acked, ack, snd.mss, left);
  sampleAck(tcb.rtt, ack, now, snd.board?.staleEcho ? -1 : echoAge(tcb, seg, now));
  timer.stalledSinceMs = Math.floor(now);
  timer.persist = false;
  timer.atMs = left === 0 ? 0 : rtoFrom(tcb.rtt, now); // RFC 6298 §5.2, §5.3
  return (textAcked > 0 ? arrival.ACKED : 0) | (lost ? arrival.LOST : 0);
}

function updateWindow(tcb: Tcb, seg: Segment, now: number): void {
  const { snd, timer } = tcb;
  if (seq.lt(seg.ack, snd.una)) return;
  // An old segment must not bring an old window back.
  if (seq.gt(snd.wl1, seg.seq) || (snd.wl1 === seg.seq && seq.gt(snd.wl2, seg.ack))) return;
  snd.wnd = seg.wnd << snd.scale;
  snd.wndMax = Math.max(snd.wndMax, snd.wnd);
  snd.wl1 = seg.seq;
  snd.wl2 = seg.ack;
  // While the peer says that its window is closed, it is alive (RFC 9293 §3.8.6.1).
  if (snd.wnd === 0 || timer.persist) timer.stalledSinceMs = Math.floor(now);
}

function stateAfterAck(tcb: Tcb): void {
  if (!tcb.snd.finAcked) return;
  if (tcb.state === "FIN-WAIT-1") tcb.state = "FIN-WAIT-2";
  else if (tcb.state === "CLOSING") tcb.state = "TIME-WAIT";
  else if (tcb.state === "LAST-ACK") tcb.state = "CLOSED";
}

/** Seventh check: the text, trimmed to the window. */
function takeText(tcb: Tcb, start: number, text: Chunk, edge: number): Arrival {
  const { rcv } = tcb;
  if (tcb.state !== "ESTABLISHED" && tcb.state !== "FIN-WAIT-1" && tcb.state !== "FIN-WAIT-2") {
    text.release();
    return 0;
  }
  const limit = rcv.finSeq === undefined ? edge : seq.min(edge, rcv.finSeq);
  const from = Math.max(0, seq.diff(rcv.nxt, start));
  const to = Math.min(text.bytes.length, seq.diff(limit, start));
  if (from >= to) {
    text.release();
    rcv.ack = "now"; // a duplicate: our ACK may have been lost
    return 0;
  }
  const wanted = narrow(text, from, to);
  const at = seq.add(start, from);
  if (at === rcv.nxt && rcv.outOfOrder.length === 0) {
    append(tcb, wanted);
    return arrival.TEXT;
  }
  rcv.ack = "now";
  if (keep(rcv.outOfOrder, rcv.nxt, at, wanted) && tcb.snd.board !== undefined) {
    rcv.recent ??= [];
    noteArrival(rcv.recent, at);
  }
  const ready = takeBlock(rcv.outOfOrder, rcv.nxt);
  if (ready === undefined) return arrival.GAP;
  while (ready.octets > 0) append(tcb, ready.take(ready.octets));
  if (rcv.outOfOrder.length === 0) rcv.recent = undefined;
  return arrival.TEXT;
}

function append(tcb: Tcb, chunk: Chunk): void {
  const { rcv } = tcb;
  const length = chunk.bytes.length;
  rcv.nxt = seq.add(rcv.nxt, length);
  rcv.unacked += length;
  if (rcv.ack === "none") rcv.ack = "owed";
  // What the consumer takes at once stays in its frame; the rest waits where it pins none.
  if (rcv.credit - rcv.queue.octets >= length) rcv.queue.push(chunk);
  else rcv.queue.gatherIfShort(chunk);
}

/** Eighth check: a FIN counts when all text before it has come. */
function noteFin(tcb: Tcb, finSeq: number): void {
  const { rcv } = tcb;
  if (rcv.finTaken) {
    rcv.ack = "now";
    return;
  }
  if (seq.lt(finSeq, rcv.nxt) || rcv.finSeq !== undefined) return;
  rcv.finSeq = finSeq;
}

function takeFin(tcb: Tcb): Arrival {
  const { rcv } = tcb;
  if (rcv.finTaken || rcv.finSeq !== rcv.nxt) return 0;
  rcv.finTaken = true;
  rcv.nxt = seq.add(rcv.nxt, 1);
  rcv.adv = seq.max(rcv.adv, rcv.nxt);
  rcv.ack = "now";
  tcb.state = stateAfterFin(tcb.state as Synchronized, tcb.snd.finAcked);
  return arrival.FIN;
}
