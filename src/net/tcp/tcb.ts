import { assert, unreachable } from "../../base/mod.ts";
import { ChunkQueue } from "./chunk-queue.ts";
import { type Congestion, newCongestion } from "./congestion.ts";
import { DEFAULT_MSS, INITIAL_RECEIVE_WINDOW, MIN_MSS, RECEIVE_WINDOW_SCALE } from "./limits.ts";
import type { OutOfOrder } from "./reassembly.ts";
import { newRttEstimate, type RttEstimate } from "./rto.ts";
import * as seq from "./seq.ts";

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
  /** Falls back to `una` when all is to be sent again. */
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
  /** Longest text of one frame: a multiple of `mss` where the device segments, else `mss`. */
  frameTextMax: number;
  /** Text from `una` on, sent or not. */
  readonly queue: ChunkQueue;
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
  /** Whether our SYN carries the window scale option. */
  offerScale: boolean;
  /** What the consumer still allows beyond what it was given. */
  credit: number;
  /** The largest window that the credit ever allowed: the receive buffer of §3.8.6.2.2. */
  allowedMax: number;
  /** In order, not yet given to the consumer. */
  readonly queue: ChunkQueue;
  readonly outOfOrder: OutOfOrder;
  /** The number of the peer's FIN that came ahead of text. */
  finSeq: number | undefined;
  finTaken: boolean;
  /** Text not yet acknowledged. */
  unacked: number;
  ack: "none" | "owed" | "now";
}

/** The timer is for retransmission, or for probing a closed window (§3.8.6.1). */
export interface RetransmissionTimer {
  /** 0 when off. */
  atMs: number;
  persist: boolean;
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
  /** The SYN had to be sent again (RFC 6298 §5.7). */
  synLost: boolean;
}

/** What a SYN says about its sender. */
export interface SynOffer {
  readonly seq: number;
  readonly wnd: number;
  readonly mss: number | undefined;
  readonly windowScale: number | undefined;
}

export interface TcbOptions {
  ipVersion: 4 | 6;
  iss: number;
  /** The device's MTU less the headers of this IP version. */
  mssLocal: number;
  /** Longest text of one frame that the device will segment; 0 where it does not: one segment then. */
  frameRoom: number;
  now: number;
}

/** Active open: the SYN is not sent yet (`output` does). */
export function openActive(o: TcbOptions): Tcb {
  return newTcb(o, "SYN-SENT", true);
}

/** Passive open: `offer` is the SYN that was held. */
export function openPassive(o: TcbOptions, offer: SynOffer): Tcb {
  const tcb = newTcb(o, "SYN-RECEIVED", offer.windowScale !== undefined);
  takeOffer(tcb, offer);
  return tcb;
}

function newTcb(o: TcbOptions, state: State, offerScale: boolean): Tcb {
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
      frameTextMax: o.frameRoom,
      queue: new ChunkQueue(),
      finQueued: false,
      finAcked: false,
      lastSentMs: o.now,
    },
    rcv: {
      irs: 0,
      nxt: 0,
      adv: 0,
      scale: 0,
      offerScale,
      credit: 0,
      allowedMax: 0,
      queue: new ChunkQueue(),
      outOfOrder: [],
      finSeq: undefined,
      finTaken: false,
      unacked: 0,
      ack: "none",
    },
    cc: newCongestion(mss, o.iss),
    rtt: newRttEstimate(),
    timer: { atMs: 0, persist: false, stalledSinceMs: o.now },
    synLost: false,
  };
}

/** Takes the peer's numbers and options from its SYN. */
export function takeOffer(tcb: Tcb, offer: SynOffer): void {
  const { snd, rcv } = tcb;
  rcv.irs = offer.seq;
  rcv.nxt = seq.add(offer.seq, 1);
  rcv.adv = seq.add(rcv.nxt, INITIAL_RECEIVE_WINDOW);
  const scaled = rcv.offerScale && offer.windowScale !== undefined;
  rcv.scale = scaled ? RECEIVE_WINDOW_SCALE : 0;
  snd.scale = scaled ? offer.windowScale! : 0;
  snd.wnd = offer.wnd; // a SYN's window is never scaled
  snd.wndMax = offer.wnd;
  snd.wl1 = offer.seq;
  snd.wl2 = snd.iss;
  const peerMss = Math.max(MIN_MSS, offer.mss ?? DEFAULT_MSS[tcb.ipVersion]);
  snd.mss = Math.min(peerMss, tcb.rcvMss);
  // Whole segments only, so that none but the last is short.
  snd.frameTextMax = Math.max(1, Math.floor(snd.frameTextMax / snd.mss)) * snd.mss;
  Object.assign(tcb.cc, newCongestion(snd.mss, snd.iss));
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
