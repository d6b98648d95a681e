import assert from "node:assert/strict";
import { test } from "node:test";
import { plainChunk } from "../../base/mod.ts";
import { ACK, NO_OPTIONS, SYN } from "../wire/mod.ts";
import { arrive } from "./arrive.ts";
import { SCOREBOARD_RUNS } from "./limits.ts";
import { deadline, expire, output } from "./output.ts";
import { openPassive, type SegmentSink, type Tcb } from "./tcb.ts";

const MSS = 1000;

interface Sent {
  seq: number;
  length: number;
}

/** A connection with SACK, ISS 0, whose peer takes everything; `sent` is what is on the wire. */
function established(tsVal = -1): { tcb: Tcb; sent: Sent[]; sink: SegmentSink } {
  const sent: Sent[] = [];
  const sink: SegmentSink = {
    send: (_, seq, flags, __, ___, length) => {
      if (length > 0 || flags & SYN) sent.push({ seq, length });
    },
  };
  const tcb = openPassive(
    {
      ipVersion: 4,
      iss: 0,
      tsOffset: 0,
      mssLocal: MSS,
      frameRoom: 0,
      userTimeoutMs: 120_000,
      keepAlive: undefined,
      now: 0,
    },
    { seq: 9, wnd: 65_535, mss: MSS, windowScale: undefined, sackPermitted: true, tsVal },
  );
  output(tcb, 0, sink);
  arrive(tcb, { ...NO_OPTIONS, seq: 10, ack: 1, flags: ACK, wnd: 65_535, tsVal }, undefined, 10);
  sent.length = 0;
  return { tcb, sent, sink };
}

function ack(tcb: Tcb, number: number, sack: number[], now: number): void {
  const options = { ...NO_OPTIONS, sack: sack.length === 0 ? undefined : sack };
  arrive(tcb, { ...options, seq: 10, ack: number, flags: ACK, wnd: 65_535 }, undefined, now);
}

function write(tcb: Tcb, segments: number): void {
  tcb.snd.queue.push(plainChunk(new Uint8Array(segments * MSS)));
}

/** One round trip of 10 ms, so that RACK knows the path. */
function warmUp(tcb: Tcb, sent: Sent[], sink: SegmentSink): void {
  write(tcb, 1);
  output(tcb, 20, sink);
  ack(tcb, 1 + MSS, [], 30);
  sent.length = 0;
}

test("a loss that is found while a timeout is being repaired halves nothing again", () => {
  const { tcb, sent, sink } = established();
  warmUp(tcb, sent, sink);
  write(tcb, 10);
  output(tcb, 40, sink);
  assert.equal(sent.length, 10);
  expire(tcb, 1_000, sink);
  const { ssthresh } = tcb.cc;
  assert.equal(ssthresh, 5 * MSS);
  ack(tcb, 1 + 2 * MSS, [], 1_010);
  output(tcb, 1_010, sink); // the next two leave again
  sent.length = 0;
  ack(tcb, 1 + 2 * MSS, [1 + 3 * MSS, 1 + 4 * MSS], 1_025); // and the first of them is lost again
  ack(tcb, 1 + 2 * MSS, [1 + 3 * MSS, 1 + 5 * MSS], 1_040);
  output(tcb, 1_040, sink);
  assert.equal(sent[0]?.seq, 1 + 2 * MSS, "found");
  assert.deepEqual([tcb.cc.ssthresh, tcb.cc.inRecovery], [ssthresh, false]);
});

test("new text waits until everything lost has left again", () => {
  const { tcb, sent, sink } = established();
  write(tcb, 10);
  output(tcb, 10, sink);
  sent.length = 0;
  tcb.snd.queue.push(plainChunk(new Uint8Array(100)));
  expire(tcb, 1_000, sink);
  tcb.cc.cwnd = MSS + 500; // room for the new text, none for a lost segment
  output(tcb, 1_001, sink);
  assert.deepEqual(sent, [{ seq: 1, length: MSS }]);
});

test("nothing new is sent without room on the scoreboard", () => {
  const { tcb, sent, sink } = established();
  write(tcb, 1);
  output(tcb, 10, sink);
  const { runs } = tcb.snd.board!;
  while (runs.length < SCOREBOARD_RUNS) runs.push(runs[0]!);
  write(tcb, 1);
  output(tcb, 11, sink);
  assert.equal(sent.length, 1);
});

test("after recovery the window is its threshold, wherever proportional reduction had brought it", () => {
  const { tcb, sink } = established();
  write(tcb, 10);
  output(tcb, 10, sink);
  ack(tcb, 1, [1 + MSS, 1 + 10 * MSS], 30);
  assert.equal(tcb.cc.inRecovery, true);
  output(tcb, 30, sink);
  tcb.cc.cwnd = MSS;
  ack(tcb, 1 + 10 * MSS, [], 50);
  assert.deepEqual([tcb.cc.inRecovery, tcb.cc.cwnd, tcb.cc.ssthresh], [false, 5 * MSS, 5 * MSS]);
});

test("in recovery one segment leaves for two that arrive (RFC 9937)", () => {
  const { tcb, sent, sink } = established();
  warmUp(tcb, sent, sink);
  tcb.cc.cwnd = 20 * MSS;
  write(tcb, 60);
  output(tcb, 40, sink);
  assert.equal(sent.length, 20);
  sent.length = 0;
  const first = 1 + MSS;
  for (let i = 2; i <= 20; i++) {
    ack(tcb, first, [first + MSS, first + i * MSS], 50 + i / 10);
    output(tcb, 50 + i / 10, sink);
  }
  assert.ok(tcb.cc.inRecovery);
  assert.deepEqual([sent.length >= 9, sent.length <= 11], [true, true], `${sent.length} of 19`);
});

test("what is sent again counts like what is new (RFC 9937)", () => {
  const { tcb, sent, sink } = established();
  warmUp(tcb, sent, sink);
  tcb.cc.cwnd = 20 * MSS;
  write(tcb, 20);
  output(tcb, 40, sink);
  sent.length = 0;
  const first = 1 + MSS;
  for (let delivered = 1; delivered <= 10; delivered++) {
    ack(tcb, first, [first + 5 * MSS, first + (5 + delivered) * MSS], 50 + delivered / 10);
    output(tcb, 50 + delivered / 10, sink);
    assert.ok(sent.length <= Math.ceil(delivered / 2), `${sent.length} for ${delivered}`);
  }
  assert.equal(sent.length, 5);
  assert.equal(new Set(sent.map((one) => one.seq)).size, sent.length, "none twice");
});

test("by its timestamp an ACK is the first copy's or the probe's (RFC 7323 §4)", () => {
  for (const [echo, halved] of [
    [45, false],
    [60, true],
  ] as const) {
    const { tcb, sink } = established(1);
    const mss = tcb.snd.mss;
    const stamped = (number: number, now: number, tsEcr: number) =>
      arrive(tcb, { ...NO_OPTIONS, seq: 10, ack: number, flags: ACK, wnd: 65_535, tsVal: 1, tsEcr }, undefined, now);
    write(tcb, 1);
    output(tcb, 20, sink);
    stamped(1 + MSS, 30, 20);
    write(tcb, 3);
    output(tcb, 40, sink);
    expire(tcb, deadline(tcb)!, sink);
    const { cwnd } = tcb.cc;
    stamped(1 + 4 * MSS, 70, echo);
    const grown = cwnd + 3 * MSS;
    assert.equal(tcb.cc.cwnd, halved ? Math.max(Math.floor(grown / 2), 2 * mss) : grown, `echo ${echo}`);
  }
});

/** Four segments, and a probe of the last one, 2 round trips later. */
function probed(): { tcb: Tcb; sink: SegmentSink } {
  const { tcb, sent, sink } = established();
  warmUp(tcb, sent, sink);
  write(tcb, 4);
  output(tcb, 40, sink);
  assert.equal(deadline(tcb), 60);
  expire(tcb, 60, sink);
  assert.deepEqual(sent.at(-1), { seq: 1 + 4 * MSS, length: MSS });
  return { tcb, sink };
}

test("a tail-loss probe in vain is no loss: its D-SACK says so (RFC 8985 §7.4)", () => {
  const { tcb, sink } = probed();
  const end = 1 + 5 * MSS;
  ack(tcb, end, [], 61);
  const { cwnd } = tcb.cc;
  ack(tcb, end, [end - MSS, end], 71);
  write(tcb, 1);
  output(tcb, 72, sink);
  ack(tcb, end + MSS, [], 82);
  assert.equal(tcb.cc.cwnd, cwnd + MSS);
});

test("a tail-loss probe that repaired a loss halves the window like any other (RFC 8985 §7.4)", () => {
  const { tcb, sink } = probed();
  const end = 1 + 5 * MSS;
  ack(tcb, end, [], 70);
  const { cwnd } = tcb.cc;
  write(tcb, 1);
  output(tcb, 72, sink);
  ack(tcb, end + MSS, [], 82);
  assert.equal(tcb.cc.cwnd, (cwnd + MSS) / 2);
});

test("a retransmission that is lost too is probed for, in fast recovery and after a timeout (RFC 9002 §6.2)", () => {
  const { tcb, sent, sink } = established();
  warmUp(tcb, sent, sink);
  write(tcb, 4);
  output(tcb, 40, sink);
  ack(tcb, 1 + MSS, [1 + 2 * MSS, 1 + 5 * MSS], 50); // the first is missing
  output(tcb, 50, sink);
  assert.ok(tcb.cc.inRecovery);
  const { cwnd } = tcb.cc;
  sent.length = 0;
  for (let timeout = 0; timeout < 2; timeout++) {
    const probeAt = deadline(tcb)!;
    assert.ok(probeAt < tcb.timer.atMs, "before the timer of the retransmission");
    expire(tcb, probeAt, sink);
    assert.deepEqual(sent.splice(0), [{ seq: 1 + MSS, length: MSS }]);
    output(tcb, probeAt, sink);
    assert.equal(deadline(tcb), tcb.timer.atMs, "one probe, then the timer");
    assert.equal(timeout > 0 || tcb.cc.cwnd === cwnd, true, "a probe takes nothing from the window");
    expire(tcb, deadline(tcb)!, sink);
    assert.deepEqual(sent.splice(0), [{ seq: 1 + MSS, length: MSS }]);
  }
  assert.equal(tcb.rtt.backoff, 2);
});

test("what a probe repairs during a recovery halves nothing again, and the next may follow", () => {
  const { tcb, sink } = established(1);
  const { mss } = tcb.snd;
  const stamped = (number: number, now: number) =>
    arrive(
      tcb,
      { ...NO_OPTIONS, seq: 10, ack: number, flags: ACK, wnd: 65_535, tsVal: 1, tsEcr: now - 1 },
      undefined,
      now,
    );
  write(tcb, 8);
  output(tcb, 40, sink);
  const start = tcb.snd.una;
  expire(tcb, deadline(tcb)!, sink); // a probe
  const timeoutAt = deadline(tcb)!;
  expire(tcb, timeoutAt, sink);
  for (const number of [start + mss, start + 2 * mss, tcb.snd.max]) {
    const probeAt = deadline(tcb)!;
    assert.ok(probeAt < tcb.timer.atMs);
    expire(tcb, probeAt, sink);
    const { cwnd, ssthresh } = tcb.cc;
    stamped(number, probeAt + 5);
    assert.ok(tcb.cc.cwnd > cwnd, `${tcb.cc.cwnd} after ${cwnd}`);
    assert.equal(tcb.cc.ssthresh, ssthresh);
    output(tcb, probeAt + 5, sink);
  }
});
