import { assert, unreachable } from "../../base/mod.ts";
import { IP4_HEADER_LEN, IP6_HEADER_LEN, TCP_HEADER_LEN, TIMESTAMPS_LEN } from "../wire/mod.ts";
import { ChunkQueue } from "./chunk-queue.ts";
import { type Congestion, newCongestion } from "./congestion.ts";
import {
  DEFAULT_MSS,
  FIRST_TUNED_WINDOW,
  INITIAL_RECEIVE_WINDOW,
  MAX_PACKET_LEN,
  MIN_MSS,
  RECEIVE_WINDOW_SCALE,
} from "./limits.ts";
import type { OutOfOrder } from "./reassembly.ts";
import { newRttEstimate, type RttEstimate } from "./rto.ts";
import { newScoreboard, type Scoreboard } from "./scoreboard.ts";
import * as seq from "./seq.ts";
import type { Timestamps } from "./timestamps.ts";

/** RFC 9293 §3.3.2. LISTEN is the stack's: a held SYN has no TCB yet. */
export type State = "SYN-SENT" | Synchronized | "CLOSED";

export type Synchronized =
  | "SYN-RECEIVED"
  | "ESTABLISHED"
  | "FIN-WAIT-1"
  | "FIN-WAIT-2"
  | "CLOSE-WAIT"
  | "CLOSING"
  | "LAST-ACK"
  | "TIME-WAIT";

/** The send sequence space (RFC 9293 §3.3.1). */
export interface SendSpace {
  readonly iss: number;
  una: number;
  /** Without a scoreboard it falls back to `una` when all is to be sent again. */
  nxt: number;
  /** The highest `nxt` so far: what the peer may acknowledge. */
  max: number;
  /** Scaled, octets. */
  wnd: number;
  wl1: number;
  wl2: number;
  /** The largest window that the peer ever announced (§3.8.6.2.1). */
  wndMax: number;
  /** The peer's shift. */
  scale: number;
  /** Effective send MSS (§3.7.1). */
  mss: number;
  /** Room for options and text in a frame that the device will segment; 0 where it does not. */
  frameRoom: number;
  /** Longest text of one frame: a multiple of `mss` where the device segments, else `mss`. */
  frameTextMax: number;
  /** Text from `una` on, sent or not. */
  readonly queue: ChunkQueue;
  /** Where the peer sends SACK. */
  board: Scoreboard | undefined;
  finQueued: boolean;
  finAcked: boolean;
  lastSentMs: number;
}

/** The receive sequence space. */
export interface ReceiveSpace {
  irs: number;
  nxt: number;
  /** Right edge of the window as announced; it never moves back (§3.8.6.2.2). */
  adv: number;
  scale: number;
  /** Which options our SYN carries. */
  offerScale: boolean;
  offerSack: boolean;
  /** RCV.NXT as last acknowledged: Last.ACK.sent of RFC 7323 §4.3. */
  lastAck: number;
  /** What the consumer still allows beyond what it was given. */
  credit: number;
  /** The window's limit beside the credit, and what came since when in this round trip (`tuneWindow`). */
  tuned: number;
  roundOctets: number;
  roundAtMs: number;
  /** The largest window that the credit ever allowed: the receive buffer of §3.8.6.2.2. */
  allowedMax: number;
  /** In order, not yet given to the consumer. */
  readonly queue: ChunkQueue;
  readonly outOfOrder: OutOfOrder;
  /** Numbers in it that came lately, the last one first: what SACK reports. */
  recent: number[] | undefined;
  /** The number of the peer's FIN that came ahead of text. */
  finSeq: number | undefined;
  finTaken: boolean;
  /** Text not yet acknowledged. */
  unacked: number;
  ack: "none" | "owed" | "now";
}

/** Moments to act; 0 when off. Whole milliseconds: small integers take no memory of their own. */
export interface RetransmissionTimer {
  /** For retransmission, or for probing a closed window (§3.8.6.1). */
  atMs: number;
  /** For a tail-loss probe (RFC 8985 §7). */
  tailAtMs: number;
  /** When reordering has been waited for long enough (RFC 8985 §6.3). */
  reorderAtMs: number;
  persist: boolean;
  /** The last segment's arrival, and keep-alives sent since. */
  heardAtMs: number;
  keepAlives: number;
  /** Since when the peer has made no progress. */
  stalledSinceMs: number;
}

export interface Tcb {
  state: State;
  readonly ipVersion: 4 | 6;
  /** Who began: a passive open comes from SYN-RECEIVED only. */
  readonly active: boolean;
  /** What our SYN announces: the device's MTU less the headers. */
  readonly rcvMss: number;
  readonly snd: SendSpace;
  readonly rcv: ReceiveSpace;
  readonly cc: Congestion;
  readonly rtt: RttEstimate;
  readonly timer: RetransmissionTimer;
  /** Our SYN offers them (or the peer's did) until it is clear that both sides have them. */
  ts: Timestamps | undefined;
  /** Nothing is sent to ask whether the peer is there without it. */
  readonly keepAlive: KeepAlive | undefined;
  /** No progress for so long ends an established connection. */
  readonly userTimeoutMs: number;
  /** ICMP said that the peer cannot be reached (RFC 9293 §3.9.2.2). */
  softError: boolean;
  /** The SYN had to be sent again (RFC 6298 §5.7). */
  synLost: boolean;
}

/** Puts a segment on the wire. `textAt` counts from the start of `snd.queue`. */
export interface SegmentSink {
  send(tcb: Tcb, seqno: number, flags: number, wnd: number, textAt: number, textLen: number): void;
}

/** RFC 9293 §3.8.4. */
export interface KeepAlive {
  /** Silence before the first question; the RFC's default is 2 hours. */
  readonly idleMs: number;
  readonly intervalMs: number;
  /** Unanswered questions after which the peer is taken for dead. */
  readonly count: number;
}

/** What a SYN says about its sender. */
export interface SynOffer {
  readonly seq: number;
  readonly wnd: number;
  readonly mss: number | undefined;
  readonly windowScale: number | undefined;
  readonly sackPermitted: boolean;
  /** -1 without the option. */
  readonly tsVal: number;
}

export interface TcbOptions {
  ipVersion: 4 | 6;
  iss: number;
  /** Where our timestamps begin. */
  tsOffset: number;
  /** The device's MTU less the headers of this IP version. */
  mssLocal: number;
  /** Longest text of one frame that the device will segment; 0 where it does not: one segment then. */
  frameRoom: number;
  userTimeoutMs: number;
  keepAlive: KeepAlive | undefined;
  now: number;
}

/** Active open: the SYN is not sent yet (`output` does). */
export function openActive(o: TcbOptions): Tcb {
  return newTcb(o, "SYN-SENT", { scale: true, sack: true, timestamps: true });
}

/** Passive open: `offer` is the SYN that was held. */
export function openPassive(o: TcbOptions, offer: SynOffer): Tcb {
  const tcb = newTcb(o, "SYN-RECEIVED", {
    scale: offer.windowScale !== undefined,
    sack: offer.sackPermitted,
    timestamps: offer.tsVal >= 0,
  });
  takeOffer(tcb, offer, o.now);
  return tcb;
}

interface Offering {
  scale: boolean;
  sack: boolean;
  timestamps: boolean;
}

function newTcb(o: TcbOptions, state: State, offering: Offering): Tcb {
  const mss = DEFAULT_MSS[o.ipVersion];
  return {
    state,
    ipVersion: o.ipVersion,
    active: state === "SYN-SENT",
    rcvMss: o.mssLocal,
    snd: {
      iss: o.iss,
      una: o.iss,
      nxt: o.iss,
      max: o.iss,
      wnd: 0,
      wl1: 0,
      wl2: 0,
      wndMax: 0,
      scale: 0,
      mss,
      frameRoom: o.frameRoom,
      frameTextMax: mss,
      queue: new ChunkQueue(),
      board: undefined,
      finQueued: false,
      finAcked: false,
      lastSentMs: Math.floor(o.now),
    },
    rcv: {
      irs: 0,
      nxt: 0,
      adv: 0,
      scale: 0,
      offerScale: offering.scale,
      offerSack: offering.sack,
      lastAck: 0,
      credit: 0,
      tuned: FIRST_TUNED_WINDOW,
      roundOctets: 0,
      roundAtMs: Math.floor(o.now),
      allowedMax: 0,
      queue: new ChunkQueue(),
      outOfOrder: [],
      recent: undefined,
      finSeq: undefined,
      finTaken: false,
      unacked: 0,
      ack: "none",
    },
    cc: newCongestion(mss, o.iss),
    rtt: newRttEstimate(),
    timer: {
      atMs: 0,
      tailAtMs: 0,
      reorderAtMs: 0,
      heardAtMs: Math.floor(o.now),
      keepAlives: 0,
      persist: false,
      stalledSinceMs: Math.floor(o.now),
    },
    keepAlive: o.keepAlive,
    userTimeoutMs: o.userTimeoutMs,
    softError: false,
    ts: offering.timestamps ? { offset: o.tsOffset, recent: 0, recentAtMs: Math.floor(o.now) } : undefined,
    synLost: false,
  };
}

/** Takes the peer's numbers and options from its SYN. */
export function takeOffer(tcb: Tcb, offer: SynOffer, now: number): void {
  const { snd, rcv } = tcb;
  rcv.irs = offer.seq;
  rcv.nxt = seq.add(offer.seq, 1);
  rcv.lastAck = rcv.nxt;
  rcv.offerSack &&= offer.sackPermitted;
  if (rcv.offerSack) snd.board = newScoreboard(snd.iss);
  if (offer.tsVal < 0) tcb.ts = undefined;
  else if (tcb.ts !== undefined) Object.assign(tcb.ts, { recent: offer.tsVal, recentAtMs: Math.floor(now) });
  rcv.adv = seq.add(rcv.nxt, INITIAL_RECEIVE_WINDOW);
  const scaled = rcv.offerScale && offer.windowScale !== undefined;
  rcv.scale = scaled ? RECEIVE_WINDOW_SCALE : 0;
  snd.scale = scaled ? offer.windowScale! : 0;
  snd.wnd = offer.wnd; // a SYN's window is never scaled
  snd.wndMax = offer.wnd;
  snd.wl1 = offer.seq;
  snd.wl2 = snd.iss;
  const peerMss = Math.max(MIN_MSS, offer.mss ?? DEFAULT_MSS[tcb.ipVersion]);
  setMss(tcb, Math.min(peerMss, tcb.rcvMss));
  Object.assign(tcb.cc, newCongestion(snd.mss, snd.iss));
}

/** `mss`: octets of TCP header options and text together (RFC 6691). */
export function setMss(tcb: Tcb, mss: number): void {
  const { snd } = tcb;
  const options = tcb.ts === undefined ? 0 : TIMESTAMPS_LEN;
  snd.mss = Math.max(MIN_MSS, mss) - options;
  // Whole segments only, so that none but the last is short.
  snd.frameTextMax = Math.max(1, Math.floor((snd.frameRoom - options) / snd.mss)) * snd.mss;
}

/** Something was lost: should it have been the frame that was too long for somebody on the way, no longer ones than usual follow. */
export function shortenFrames(tcb: Tcb): void {
  const { snd } = tcb;
  const headers = (tcb.ipVersion === 4 ? IP4_HEADER_LEN : IP6_HEADER_LEN) + TCP_HEADER_LEN;
  if (snd.frameRoom <= MAX_PACKET_LEN - headers) return;
  snd.frameRoom = MAX_PACKET_LEN - headers;
  setMss(tcb, snd.mss + (tcb.ts === undefined ? 0 : TIMESTAMPS_LEN));
}

/** Octets between SND.UNA and SND.MAX: sent and not acknowledged. */
export function flight(snd: SendSpace): number {
  return seq.diff(snd.max, snd.una);
}

/** Has the connection given up its claim on the wire? */
export function isOver(state: State): boolean {
  return state === "CLOSED" || state === "TIME-WAIT";
}

/**
 * The state after our side has closed (RFC 9293 §3.10.4). The FIN itself is
 * sent by `output`, behind the text.
 */
export function stateAfterClose(state: State): State {
  switch (state) {
    case "SYN-SENT":
      return "CLOSED";
    case "SYN-RECEIVED":
    case "ESTABLISHED":
      return "FIN-WAIT-1";
    case "CLOSE-WAIT":
      return "LAST-ACK";
    case "FIN-WAIT-1":
    case "FIN-WAIT-2":
    case "CLOSING":
    case "LAST-ACK":
    case "TIME-WAIT":
    case "CLOSED":
      return state;
    default:
      return unreachable(state);
  }
}

/**
 * The state after an in-order FIN (RFC 9293 §3.10.7.4, eighth check).
 * `finAcked`: SND.UNA has passed our own FIN, perhaps by this very segment.
 */
export function stateAfterFin(state: Synchronized, finAcked: boolean): Synchronized {
  switch (state) {
    case "SYN-RECEIVED":
    case "ESTABLISHED":
      return "CLOSE-WAIT";
    case "FIN-WAIT-1":
      return finAcked ? "TIME-WAIT" : "CLOSING";
    case "FIN-WAIT-2":
      return "TIME-WAIT";
    case "CLOSE-WAIT":
    case "CLOSING":
    case "LAST-ACK":
    case "TIME-WAIT":
      return state; // The peer's FIN has already been taken; nothing moves.
    default:
      return unreachable(state);
  }
}

/** Queues our FIN. */
export function close(tcb: Tcb): void {
  assert(!tcb.snd.finQueued, "closed twice");
  tcb.snd.finQueued = true;
  // In SYN-RECEIVED the handshake goes on; FIN-WAIT-1 is entered when it is done (§3.10.4).
  if (tcb.state !== "SYN-RECEIVED") tcb.state = stateAfterClose(tcb.state);
}
