import * as seq from "./seq.ts";
import type { Tcb } from "./tcb.ts";

const MAX_FIELD = 65_535;

/** What the consumer's credit allows beyond RCV.NXT, as far as the field can say it. */
export function allowedWindow(tcb: Tcb): number {
  const { rcv } = tcb;
  return Math.max(0, Math.min(rcv.credit - rcv.queue.octets, MAX_FIELD * 2 ** rcv.scale));
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
 * "now": the window has at least doubled, and grown by a segment or half the buffer.
 * "owed": the peer's window is closed, and a small opening may wait a little for more.
 */
export function afterCredit(tcb: Tcb): "none" | "owed" | "now" {
  const { rcv } = tcb;
  if (tcb.state !== "ESTABLISHED" && tcb.state !== "FIN-WAIT-1" && tcb.state !== "FIN-WAIT-2") return "none";
  const announced = seq.diff(rcv.adv, rcv.nxt);
  const allowed = allowedWindow(tcb);
  rcv.allowedMax = Math.max(rcv.allowedMax, allowed);
  const worthwhile = Math.min(tcb.rcvMss, rcv.allowedMax / 2);
  if (allowed >= 2 * announced && allowed > 0 && allowed - announced >= worthwhile) return "now";
  return announced === 0 && allowed > 0 ? "owed" : "none";
}
