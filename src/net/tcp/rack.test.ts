import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { detectLosses, onDelivered } from "./rack.ts";
import { addRun, markResent, newScoreboard, type Run, sackBlock } from "./scoreboard.ts";

const MSS = 100;

test("in recovery exactly that is lost which left before something that arrived", () => {
  const arrivals = fc.uniqueArray(fc.nat(19), { maxLength: 12 });
  fc.assert(
    fc.property(fc.array(fc.nat(3), { minLength: 20, maxLength: 20 }), fc.nat(19), arrivals, (gaps, later, order) => {
      const board = newScoreboard(0);
      board.minRttMs = 20; // of what went before
      let now = 0;
      const sent: [number, number][] = [];
      gaps.forEach((gap, i) => {
        now += gap;
        addRun(board, i * MSS, (i + 1) * MSS, now);
        sent.push([now, i]);
      });
      // One of them leaves once more, behind all others.
      now += 1;
      markResent(board, board.runs[later]!, now);
      sent[later] = [now, later];
      now += 50;
      // What arrives in order of its number is no reordering.
      for (const i of order.toSorted((a, b) => a - b)) {
        sackBlock(board, i * MSS, (i + 1) * MSS, now, -1, onDelivered);
      }
      detectLosses(board, now, MSS, true);
      // The slow reference: each run against each arrival.
      const before = (a: [number, number], b: [number, number]) => a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
      const lost = sent.map((run, i) => !order.includes(i) && order.some((other) => before(run, sent[other]!)));
      const got = Array<boolean>(20).fill(false);
      for (const run of board.runs) for (let at = run.seq; at < run.end; at += MSS) got[at / MSS] = run.lost;
      assert.deepEqual(got, lost);
    }),
  );
});

function run(sentMs: number, again: boolean): Run {
  return { seq: 0, end: MSS, sentMs, again, lost: false, sacked: false };
}

test("an ACK that is too early for the second copy is the first one's, and tells nothing of later ones", () => {
  const board = newScoreboard(0);
  board.minRttMs = 20;
  onDelivered(board, run(100, true), 110, -1);
  assert.equal(board.xmitMs, 0);
  onDelivered(board, run(100, true), 125, 95); // by its timestamp, too
  assert.equal(board.xmitMs, 0);
  onDelivered(board, run(100, true), 125, 100);
  assert.deepEqual([board.xmitMs, board.rttMs], [100, 25]);
});

test("what is not lost yet has a moment at which it will be (RFC 8985 §6.2 step 5)", () => {
  const board = newScoreboard(0);
  for (let i = 0; i < 3; i++) addRun(board, i * MSS, (i + 1) * MSS, 10 * i);
  board.reordering = true;
  sackBlock(board, 2 * MSS, 3 * MSS, 60, -1, onDelivered); // 40 ms
  // Sent at 0 and 10, 40 ms for the round trip and 10 for reordering: due at 50 and 60.
  assert.equal(detectLosses(board, 55, MSS, false), 5);
  assert.equal(board.lostOctets, MSS);
  assert.equal(detectLosses(board, 60, MSS, false), 0);
  assert.equal(board.lostOctets, 2 * MSS);
});
