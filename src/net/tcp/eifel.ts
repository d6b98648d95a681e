import { initialWindow } from "./congestion.ts";
import type { Scoreboard, Undo } from "./scoreboard.ts";
import * as seq from "./seq.ts";
import { flight, type Tcb } from "./tcb.ts";

/** A recovery begins: the congestion window is as it was (RFC 4015 §3.2, step 0). */
export function rememberState(tcb: Tcb, board: Scoreboard, now: number, timeout: boolean): void {
  board.undo = { atMs: Math.floor(now), ssthresh: Math.max(flight(tcb.snd), tcb.cc.ssthresh), timeout };
}

/**
 * The first ACK of what was sent again, before it is noted on the scoreboard.
 * What to undo, if there was no need to (RFC 3522 §3.2): the ACK echoes the
 * timestamp of the copy that arrived. `echoMs`: our time of that, -1 if unknown.
 */
export function takeSpurious(board: Scoreboard, echoMs: number): Undo | undefined {
  const { undo } = board;
  if (undo === undefined || board.runs[0]?.again !== true) return undefined;
  board.undo = undefined;
  return echoMs >= 0 && echoMs < undo.atMs ? undo : undefined;
}

/** Takes back what the recovery has done (RFC 4015 §3.2, steps 7 and 8). */
export function undoRecovery(tcb: Tcb, board: Scoreboard, undo: Undo, una: number, acked: number): void {
  const { snd, cc } = tcb;
  cc.inRecovery = false;
  cc.recover = una;
  cc.ssthresh = undo.ssthresh;
  cc.cwnd = Math.max(cc.cwnd, seq.diff(snd.nxt, una) + Math.min(acked, initialWindow(snd.mss)));
  board.recoverFlight = 0;
  if (!undo.timeout) return;
  for (const run of board.runs) run.lost = false;
  board.lostOctets = 0;
}
