import { REORDERING_PATIENCE } from "./limits.ts";
import { markLost, type Run, type Scoreboard } from "./scoreboard.ts";
import * as seq from "./seq.ts";

/** Below this a wait is over: times are sums of fractions of milliseconds. */
const EPSILON_MS = 0.001;

/**
 * A run has arrived (RFC 8985 §6.2 steps 1 to 3). `echoMs`: when the segment
 * left that made the peer send this, from its timestamp; -1 when unknown.
 */
export function onDelivered(board: Scoreboard, run: Run, now: number, echoMs: number): void {
  const rttMs = now - run.sentMs;
  if (run.again) {
    // It may be the first copy that arrived: then it tells nothing of the second.
    if (rttMs < board.minRttMs || (echoMs >= 0 && echoMs < Math.floor(run.sentMs))) return;
  } else if (seq.lt(run.end, board.fack)) {
    board.reordering = true;
  }
  board.fack = seq.max(board.fack, run.end);
  board.minRttMs = Math.min(board.minRttMs, rttMs);
  if (!sentAfter(run, board)) return;
  board.xmitMs = run.sentMs;
  board.xmitEnd = run.end;
  board.rttMs = rttMs;
}

function sentAfter(run: Run, board: Scoreboard): boolean {
  return run.sentMs > board.xmitMs || (run.sentMs === board.xmitMs && seq.gt(run.end, board.xmitEnd));
}

/**
 * Marks as lost what was sent sufficiently before something that has arrived
 * (RFC 8985 §6.2 step 5). Returns after how many milliseconds to look again,
 * 0 for not at all.
 */
export function detectLosses(board: Scoreboard, now: number, mss: number, inRecovery: boolean): number {
  const reorderMs = reorderingMs(board, mss, inRecovery);
  let waitMs = 0;
  for (const run of board.runs) {
    if (run.sacked || run.lost || sentAfter(run, board)) continue;
    const leftMs = run.sentMs + board.rttMs + reorderMs - now;
    if (leftMs < EPSILON_MS) markLost(board, run);
    else waitMs = Math.max(waitMs, leftMs);
  }
  return waitMs;
}

/** Step 4. Three segments ahead are proof enough where nothing was ever reordered (RFC 6675's threshold). */
function reorderingMs(board: Scoreboard, mss: number, inRecovery: boolean): number {
  if (!board.reordering && (inRecovery || board.sackedOctets > 2 * mss)) return 0;
  return Math.min((board.patience * board.minRttMs) / 4, Math.max(board.rttMs, board.minRttMs));
}

/** A D-SACK: something was sent again in vain. Once in a round trip the patience grows. */
export function onDuplicate(board: Scoreboard, una: number, nxt: number): void {
  if (seq.lt(una, board.patienceRound)) return;
  board.patience = Math.min(board.patience + 1, REORDERING_PATIENCE);
  board.patienceRound = nxt;
}
