import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SCOREBOARD_RUNS } from "./limits.ts";
import {
  acknowledgeRuns,
  addRun,
  markAllLost,
  markLost,
  markResent,
  newScoreboard,
  type Scoreboard,
  sackBlock,
} from "./scoreboard.ts";
import * as seq from "./seq.ts";

const nothing = () => {};

/** The slow reference: what is known of each single octet. */
class Octets {
  readonly states: ("sent" | "sacked" | "lost")[] = [];
  acked = 0;

  count(what: string): number {
    return this.states.slice(this.acked).filter((state) => state === what).length;
  }

  ack(to: number): number {
    const news = this.states.slice(this.acked, to).filter((state) => state !== "sacked").length;
    this.acked = Math.max(this.acked, Math.min(to, this.states.length));
    return news;
  }

  sack(from: number, to: number): number {
    let news = 0;
    for (let at = Math.max(from, this.acked); at < Math.min(to, this.states.length); at++) {
      if (this.states[at] !== "sacked") news++;
      this.states[at] = "sacked";
    }
    return news;
  }

  set(from: number, to: number, state: "sent" | "lost"): void {
    for (let at = Math.max(from, this.acked); at < to; at++) this.states[at] = state;
  }
}

const position = fc.nat(120);
const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("send" as const), length: fc.integer({ min: 1, max: 20 }) }),
    fc.record({ kind: fc.constant("ack" as const), to: position }),
    fc.record({ kind: fc.constant("sack" as const), from: position, to: position }),
    fc.record({ kind: fc.constant("lose" as const), pick: fc.nat(10) }),
    fc.record({ kind: fc.constant("resend" as const), pick: fc.nat(10) }),
    fc.record({ kind: fc.constant("timeout" as const), forget: fc.boolean() }),
  ),
  { maxLength: 60, size: "max" },
);

function check(board: Scoreboard, reference: Octets, first: number): void {
  assert.equal(board.sackedOctets, reference.count("sacked"));
  assert.equal(board.lostOctets, reference.count("lost"));
  let at = reference.acked;
  for (const run of board.runs) {
    assert.equal(run.seq, seq.add(first, at), "side by side");
    for (; seq.add(first, at) !== run.end; at++) {
      assert.equal(run.sacked ? "sacked" : run.lost ? "lost" : "sent", reference.states[at]);
    }
  }
  assert.equal(at, reference.states.length);
}

test("the scoreboard knows of each octet what the slow reference knows", () => {
  fc.assert(
    fc.property(steps, fc.constantFrom(0, 2 ** 32 - 40), (list, first) => {
      const board = newScoreboard(first);
      const reference = new Octets();
      for (const step of list) {
        if (step.kind === "send") {
          const start = reference.states.length;
          addRun(board, seq.add(first, start), seq.add(first, start + step.length), 0);
          reference.states.push(...Array<"sent">(step.length).fill("sent"));
        } else if (step.kind === "ack") {
          const to = Math.min(step.to, reference.states.length); // the caller has checked
          if (to < reference.acked) continue;
          assert.equal(acknowledgeRuns(board, seq.add(first, to), 0, -1, nothing), reference.ack(to));
        } else if (step.kind === "sack") {
          const got = sackBlock(board, seq.add(first, step.from), seq.add(first, step.to), 0, -1, nothing);
          assert.equal(got, reference.sack(step.from, step.to));
        } else if (step.kind === "timeout") {
          const reneged = step.forget || reference.states[reference.acked] === "sacked";
          markAllLost(board, step.forget);
          reference.states.forEach((state, at) => {
            if (at >= reference.acked && (reneged || state !== "sacked")) reference.set(at, at + 1, "lost");
          });
        } else {
          const run = board.runs[step.pick];
          if (run === undefined || run.sacked) continue;
          const [from, to] = [seq.diff(run.seq, first), seq.diff(run.end, first)];
          if (step.kind === "resend") markResent(board, run, 1);
          else if (!run.lost) markLost(board, run);
          reference.set(from, to, step.kind === "resend" ? "sent" : "lost");
        }
        check(board, reference, first);
      }
    }),
    { numRuns: 500 },
  );
});

test("every octet is delivered once, whatever the order of ACK and SACK", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(position, position), { maxLength: 40, size: "max" }), (blocks) => {
      const board = newScoreboard(0);
      for (let at = 0; at < 120; at += 10) addRun(board, at, at + 10, 0);
      const seen = Array<number>(120).fill(0);
      const note = (_: Scoreboard, run: { seq: number; end: number }) => {
        for (let at = run.seq; at < run.end; at++) seen[at]!++;
      };
      let acked = 0;
      for (const [from, to] of blocks) {
        if (from % 4 === 0 && to >= acked) {
          acked = to;
          acknowledgeRuns(board, acked, 0, -1, note);
        } else sackBlock(board, from, to, 0, -1, note);
      }
      acknowledgeRuns(board, 120, 0, -1, note);
      assert.deepEqual(seen, Array<number>(120).fill(1));
      assert.equal(board.runs.length, 0);
    }),
  );
});

test("a peer that acknowledges single octets makes no more runs than the table has", () => {
  const board = newScoreboard(0);
  addRun(board, 0, 100_000, 0);
  let sacked = 0;
  for (let at = 1; at < 100_000; at += 2) sacked += sackBlock(board, at, at + 1, 0, -1, nothing);
  assert.ok(board.runs.length <= SCOREBOARD_RUNS, `${board.runs.length} runs`);
  assert.equal(acknowledgeRuns(board, 100_000, 0, -1, nothing), 100_000 - sacked);
  assert.deepEqual([board.runs.length, board.sackedOctets], [0, 0]);
});
