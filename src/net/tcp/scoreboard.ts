import { SCOREBOARD_RUNS } from "./limits.ts";
import * as seq from "./seq.ts";

/** Numbers that left in one frame, or what is left of them. */
export interface Run {
  seq: number;
  end: number;
  /** When it was last sent. */
  sentMs: number;
  /** Sent more than once. */
  again: boolean;
  /** Taken for lost and not sent again yet. Never together with `sacked`. */
  lost: boolean;
  sacked: boolean;
}

/**
 * What became of each number between SND.UNA and SND.NXT (RFC 6675 §3,
 * RFC 8985 §5), with what RACK has learnt of the path. Exists where the peer
 * sends SACK.
 */
export interface Scoreboard {
  /** Side by side, in order. */
  runs: Run[];
  sackedOctets: number;
  lostOctets: number;
  /** Something was sent again since the last time that all was in order. */
  resent: boolean;
  /** The delivered run that was sent last, and its round trip (RFC 8985 §6.2 step 2). */
  xmitMs: number;
  xmitEnd: number;
  rttMs: number;
  minRttMs: number;
  /** The last ACK's echo is older than the last sending of what it acknowledges: it measures no round trip. */
  staleEcho: boolean;
  /** Behind the highest number that was delivered. */
  fack: number;
  /** Some run arrived behind a later one without having been lost (step 3). */
  reordering: boolean;
  /** Quarters of a round trip that reordering is waited for; grows with what was sent again in vain (step 4). */
  patience: number;
  patienceRound: number;
  /** RFC 9937 §5; octets. */
  recoverFlight: number;
  prrDelivered: number;
  prrOut: number;
  /** Behind the tail-loss probe in flight (RFC 8985 §7.1). */
  probeEnd: number | undefined;
  probedAtMs: number;
  /** While it is not known whether the recovery was needed. */
  undo: Undo | undefined;
}

/** What a recovery took from the connection, until it is known to have had a reason. */
export interface Undo {
  /** When it began; its retransmissions carry this timestamp or a later one. Whole milliseconds. */
  readonly atMs: number;
  readonly ssthresh: number;
  /** Everything was taken for lost, not what acknowledgements had shown. */
  readonly timeout: boolean;
}

export function newScoreboard(iss: number): Scoreboard {
  return {
    runs: [],
    sackedOctets: 0,
    lostOctets: 0,
    resent: false,
    xmitMs: 0,
    xmitEnd: iss,
    rttMs: 0,
    minRttMs: Number.POSITIVE_INFINITY,
    staleEcho: false,
    fack: iss,
    reordering: false,
    patience: 1,
    patienceRound: iss,
    recoverFlight: 0,
    prrDelivered: 0,
    prrOut: 0,
    probeEnd: undefined,
    probedAtMs: 0,
    undo: undefined,
  };
}

/** Called for each run that has arrived and was not known to. A function of its own, no closure for each ACK. */
export type Delivered = (board: Scoreboard, run: Run, now: number, echoMs: number) => void;

/** New numbers were sent. */
export function addRun(board: Scoreboard, start: number, end: number, now: number): void {
  board.runs.push({ seq: start, end, sentMs: now, again: false, lost: false, sacked: false });
}

/** Everything before `ack` has arrived. Returns the octets of it that were not SACKed before. */
export function acknowledgeRuns(
  board: Scoreboard,
  ack: number,
  now: number,
  echoMs: number,
  delivered: Delivered,
): number {
  const { runs } = board;
  let octets = 0;
  let gone = 0;
  board.staleEcho = false;
  for (const run of runs) {
    if (!seq.gt(ack, run.seq)) break;
    const whole = run.end;
    run.end = seq.min(ack, whole);
    const length = seq.diff(run.end, run.seq);
    if (run.sacked) board.sackedOctets -= length;
    else {
      if (run.lost) board.lostOctets -= length;
      octets += length;
      // Another copy arrived, or it did long ago and its ACK was lost (Karn; RFC 6298 §3).
      if (run.again && echoMs < Math.floor(run.sentMs)) board.staleEcho = true;
      delivered(board, run, now, echoMs);
    }
    run.seq = run.end;
    run.end = whole;
    if (run.seq !== whole) break;
    gone++;
  }
  // An idle connection keeps no room for what it once sent.
  if (gone === runs.length && gone > 0) board.runs = [];
  else if (gone === 1) runs.shift();
  else if (gone > 0) runs.splice(0, gone);
  return octets;
}

/** The block `[start, end)` has arrived; what lies outside the runs is ignored. Returns the octets that are new. */
export function sackBlock(
  board: Scoreboard,
  start: number,
  end: number,
  now: number,
  echoMs: number,
  delivered: Delivered,
): number {
  const { runs } = board;
  if (!seq.lt(start, end)) return 0;
  let octets = 0;
  for (let at = firstBehind(runs, start); at < runs.length; at++) {
    if (!seq.lt(runs[at]!.seq, end)) break;
    if (runs[at]!.sacked) continue;
    if (seq.lt(runs[at]!.seq, start)) {
      if (!splitRun(board, at, start)) continue;
      at++;
    }
    if (seq.gt(runs[at]!.end, end) && !splitRun(board, at, end)) break;
    const run = runs[at]!;
    const length = seq.diff(run.end, run.seq);
    if (run.lost) board.lostOctets -= length;
    run.lost = false;
    run.sacked = true;
    board.sackedOctets += length;
    octets += length;
    delivered(board, run, now, echoMs);
  }
  return octets;
}

/** Index of the first run that ends behind `number`. */
function firstBehind(runs: Run[], number: number): number {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (seq.gt(runs[middle]!.end, number)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * Cuts a run in two. False where the table is full: a peer that acknowledges
 * single octets shall not make a run of each.
 */
export function splitRun(board: Scoreboard, at: number, number: number): boolean {
  const { runs } = board;
  if (runs.length >= SCOREBOARD_RUNS) return false;
  const run = runs[at]!;
  runs.splice(at + 1, 0, { ...run, seq: number });
  run.end = number;
  return true;
}

export function markLost(board: Scoreboard, run: Run): void {
  run.lost = true;
  board.lostOctets += seq.diff(run.end, run.seq);
}

/** The run leaves once more. */
export function markResent(board: Scoreboard, run: Run, now: number): void {
  if (run.lost) board.lostOctets -= seq.diff(run.end, run.seq);
  run.lost = false;
  run.again = true;
  run.sentMs = now;
  board.resent = true;
}

/**
 * The retransmission timer ran out: nothing is in flight any more. What was
 * SACKed stays so, unless `forget` or the first run says that the peer has
 * thrown it away (RFC 2018 §8).
 */
export function markAllLost(board: Scoreboard, forget: boolean): void {
  const reneged = forget || board.runs[0]?.sacked === true;
  for (const run of board.runs) {
    if (run.sacked && !reneged) continue;
    if (run.sacked) board.sackedOctets -= seq.diff(run.end, run.seq);
    run.sacked = false;
    if (!run.lost) markLost(board, run);
  }
  board.probeEnd = undefined;
}
