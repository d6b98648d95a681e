import { MAX_RECEIVE_WINDOW } from "./limits.ts";
import * as seq from "./seq.ts";
import type { Tcb } from "./tcb.ts";

const MAX_FIELD = 65_535;

/** A round trip inside the machine is less than its scheduler's grain. */
const MIN_ROUND_MS = 1;

/**
 * What may come beyond RCV.NXT, as far as the field can say it. Two limits
 * meet here and the smaller one holds: the consumer's credit, as no more than
 * a segment is promised that it would not take; and `tuned` keeps a generous
 * credit (a consumer that grants 16 MiB at once) from becoming memory for text
 * ahead of a gap before the peer has shown that it can fill it.
 *
 * A credit of less than one segment makes a window of one, and what is over
 * waits in `queue`: into less a peer sends nothing (RFC 9293 §3.8.6.2.1), and a
 * consumer that waits for the rest of its credit to be used would wait for ever.
 */
export function allowedWindow(tcb: Tcb): number {
  const { rcv } = tcb;
  const room = rcv.credit - rcv.queue.octets;
  if (room <= 0) return 0;
  return Math.min(Math.max(room, tcb.rcvMss), rcv.tuned, MAX_FIELD * 2 ** rcv.scale);
}

/**
 * `octets` came in order. When half of the tuned window comes within one round
 * trip it is the window that slows the peer, and it doubles.
 */
export function tuneWindow(tcb: Tcb, octets: number, now: number): void {
  const { rcv } = tcb;
  rcv.roundOctets += octets;
  const roundMs = Math.max(tcb.rtt.srttMs, MIN_ROUND_MS);
  const elapsedMs = now - rcv.roundAtMs;
  if (rcv.roundOctets < rcv.tuned / 2 && elapsedMs < roundMs) return;
  if (rcv.roundOctets >= rcv.tuned / 2 && elapsedMs <= roundMs) {
    rcv.tuned = Math.min(2 * rcv.tuned, MAX_RECEIVE_WINDOW);
  }
  rcv.roundOctets = 0;
  rcv.roundAtMs = Math.floor(now);
}

/** Right edge of what is accepted: announced, or not yet announced but allowed. */
export function rightEdge(tcb: Tcb): number {
  return seq.max(tcb.rcv.adv, seq.add(tcb.rcv.nxt, allowedWindow(tcb)));
}

/**
 * The window field of the next segment; counts as announced. A scaled field is
 * rounded up, as down would take back octets that were promised and would turn
 * a small credit into 0: up to 2^scale - 1 octets may have to wait in `queue`.
 */
export function announce(tcb: Tcb): number {
  const { rcv } = tcb;
  const unit = 2 ** rcv.scale;
  const field = Math.min(MAX_FIELD, Math.ceil(seq.diff(rightEdge(tcb), rcv.nxt) / unit));
  rcv.adv = seq.max(rcv.adv, seq.add(rcv.nxt, field * unit));
  rcv.ack = "none";
  rcv.lastAck = rcv.nxt;
  rcv.unacked = 0;
  return field;
}

/**
 * Credit has grown: is that worth an ACK of its own (RFC 9293 §3.8.6.2.2)?
 * "now": the window has at least doubled, and grown by a segment or half the buffer; or it was too small for a segment.
 * "owed": it was too small, and is not much larger: an opening that may wait a little for more.
 */
export function afterCredit(tcb: Tcb): "none" | "owed" | "now" {
  const { rcv } = tcb;
  if (tcb.state !== "ESTABLISHED" && tcb.state !== "FIN-WAIT-1" && tcb.state !== "FIN-WAIT-2") return "none";
  const announced = seq.diff(rcv.adv, rcv.nxt);
  const allowed = allowedWindow(tcb);
  rcv.allowedMax = Math.max(rcv.allowedMax, allowed);
  const worthwhile = Math.min(tcb.rcvMss, rcv.allowedMax / 2);
  if (allowed >= 2 * announced && allowed > 0 && allowed - announced >= worthwhile) return "now";
  if (announced >= tcb.rcvMss || allowed <= announced) return "none";
  return rcv.credit - rcv.queue.octets >= tcb.rcvMss ? "now" : "owed";
}
