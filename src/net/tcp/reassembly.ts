import type { Chunk } from "../../base/mod.ts";
import { narrow, split, unpinned } from "./chunks.ts";
import { COPY_BREAK, OUT_OF_ORDER_RUNS } from "./limits.ts";
import * as seq from "./seq.ts";

/** Text that arrived ahead of a gap: disjoint runs in order of their numbers. */
export type OutOfOrder = Run[];

interface Run {
  readonly seq: number;
  readonly chunk: Chunk;
}

/**
 * Keeps those octets of `chunk`, which begins at `start`, that are not there
 * yet: what came first stays, so a later segment cannot rewrite it. The number
 * of runs is bounded; what does not fit is released and false returned. What
 * begins at `nxt` always fits: it will not stay.
 */
export function keep(runs: OutOfOrder, nxt: number, start: number, chunk: Chunk): boolean {
  let at = runs.findIndex((run) => seq.gt(endOf(run), start));
  if (at < 0) at = runs.length;
  let from = start;
  let rest: Chunk = chunk;
  for (;;) {
    const end = seq.add(from, rest.bytes.length);
    const next = runs[at];
    if (next !== undefined && seq.le(next.seq, from)) {
      // The front is there already.
      const known = seq.diff(endOf(next), from);
      if (known >= rest.bytes.length) {
        rest.release();
        return true;
      }
      rest = narrow(rest, known, rest.bytes.length);
      from = seq.add(from, known);
      at++;
      continue;
    }
    if (runs.length >= OUT_OF_ORDER_RUNS && from !== nxt) {
      rest.release();
      return false;
    }
    if (next === undefined || seq.ge(next.seq, end)) {
      runs.splice(at, 0, { seq: from, chunk: unpinned(rest, COPY_BREAK) });
      return true;
    }
    // It reaches into the next run: keep what lies before, go on with the rest.
    const [gap, beyond] = split(rest, seq.diff(next.seq, from));
    runs.splice(at, 0, { seq: from, chunk: unpinned(gap, COPY_BREAK) });
    from = next.seq;
    rest = beyond;
    at++;
  }
}

/** Removes and returns the run that begins at `nxt`. */
export function takeRun(runs: OutOfOrder, nxt: number): Chunk | undefined {
  if (runs[0]?.seq !== nxt) return undefined;
  return runs.shift()?.chunk;
}

export function releaseRuns(runs: OutOfOrder): void {
  for (const run of runs.splice(0)) run.chunk.release();
}

function endOf(run: Run): number {
  return seq.add(run.seq, run.chunk.bytes.length);
}
