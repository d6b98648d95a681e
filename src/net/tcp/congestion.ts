import { CONGESTION_WINDOW_MAX } from "./limits.ts";
import * as seq from "./seq.ts";

/** NewReno: RFC 5681 with the recovery of RFC 6582, or where the peer sends SACK that of `recovery.ts`. Windows in octets. */
export interface Congestion {
  cwnd: number;
  ssthresh: number;
  dupAcks: number;
  inRecovery: boolean;
  /** The highest number sent when recovery, or a timeout, began. */
  recover: number;
}

const DUP_ACK_THRESHOLD = 3;

/** RFC 6928 §2. */
export function initialWindow(mss: number): number {
  return Math.min(10 * mss, Math.max(2 * mss, 14_600));
}

export function newCongestion(mss: number, iss: number): Congestion {
  return { cwnd: initialWindow(mss), ssthresh: Number.MAX_SAFE_INTEGER, dupAcks: 0, inRecovery: false, recover: iss };
}

/**
 * `acked` octets of new data were acknowledged by `ack`. True: that was a
 * partial acknowledgement, and the first unacknowledged segment is lost too.
 * `flight`: octets still outstanding.
 */
export function onNewAck(cc: Congestion, acked: number, ack: number, mss: number, flight: number): boolean {
  cc.dupAcks = 0;
  if (cc.inRecovery) {
    if (seq.ge(ack, cc.recover)) {
      // Full acknowledgement, RFC 6582 §3.2 step 3, the choice that sends no burst.
      cc.inRecovery = false;
      cc.cwnd = Math.min(cc.ssthresh, Math.max(flight, mss) + mss);
      return false;
    }
    // Partial: deflate by what left the network, add back one segment.
    cc.cwnd = Math.max(mss, cc.cwnd - acked + (acked >= mss ? mss : 0));
    return true;
  }
  grow(cc, acked, ack, mss);
  return false;
}

/** `acked` octets were acknowledged by `ack` outside of recovery (RFC 5681 §3.1). */
export function grow(cc: Congestion, acked: number, ack: number, mss: number): void {
  // A number that stayed behind for 2^31 octets would seem to lie ahead.
  if (seq.gt(ack, cc.recover)) cc.recover = seq.add(ack, -1);
  if (cc.cwnd < cc.ssthresh) {
    // Slow start by octets (RFC 3465) without its limit of 2 segments per ACK:
    // one ACK of a super-segment stands for dozens.
    cc.cwnd += acked;
  } else {
    cc.cwnd += Math.max(1, Math.floor((mss * Math.min(acked, cc.cwnd)) / cc.cwnd));
  }
  cc.cwnd = Math.min(cc.cwnd, CONGESTION_WINDOW_MAX);
}

/** A loss was found by SACK: `sent` is SND.MAX, `flight` what is outstanding. */
export function enterRecovery(cc: Congestion, sent: number, mss: number, flight: number): void {
  cc.inRecovery = true;
  cc.recover = sent;
  cc.dupAcks = 0;
  cc.ssthresh = Math.max(Math.floor(flight / 2), 2 * mss);
}

/** A duplicate acknowledgement. True: the third, the first unacknowledged segment is to be sent again now. */
export function onDupAck(cc: Congestion, una: number, sent: number, mss: number, flight: number): boolean {
  cc.dupAcks++;
  if (cc.inRecovery) {
    cc.cwnd += mss; // a segment has left the network
    return false;
  }
  // RFC 6582 §3.2 step 2: not for what an earlier recovery or timeout already covers.
  if (cc.dupAcks !== DUP_ACK_THRESHOLD || !seq.gt(una, cc.recover)) return false;
  cc.recover = sent;
  cc.inRecovery = true;
  cc.ssthresh = Math.max(Math.floor(flight / 2), 2 * mss);
  cc.cwnd = cc.ssthresh + DUP_ACK_THRESHOLD * mss;
  return true;
}

/** The retransmission timer ran out (RFC 5681 §3.1, RFC 6582 §4). `again`: not for the first time in a row. */
export function onTimeout(cc: Congestion, sent: number, mss: number, flight: number, again: boolean): void {
  if (!again) cc.ssthresh = Math.max(Math.floor(flight / 2), 2 * mss);
  cc.cwnd = mss;
  cc.dupAcks = 0;
  cc.inRecovery = false;
  cc.recover = sent;
}

/** Nothing was sent for longer than an RTO (RFC 5681 §4.1). */
export function onIdle(cc: Congestion, mss: number): void {
  cc.cwnd = Math.min(cc.cwnd, initialWindow(mss));
}
