import assert from "node:assert/strict";
import { test } from "node:test";
import { plainChunk } from "../../base/mod.ts";
import { ACK, NO_OPTIONS, SYN } from "../wire/mod.ts";
import { arrive } from "./arrive.ts";
import { expire, output } from "./output.ts";
import { openPassive, type SegmentSink, type Tcb } from "./tcb.ts";

const MSS = 1000;

interface Sent {
  seq: number;
  length: number;
}

/** A connection with SACK, ISS 0, whose peer takes everything; `sent` is what is on the wire. */
function established(): { tcb: Tcb; sent: Sent[]; sink: SegmentSink } {
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
    { seq: 9, wnd: 65_535, mss: MSS, windowScale: undefined, sackPermitted: true, tsVal: -1 },
  );
  output(tcb, 0, sink);
  ack(tcb, 1, [], 10);
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

test("a loss that is found while a timeout is being repaired halves nothing again", () => {
  const { tcb, sent, sink } = established();
  write(tcb, 10);
  output(tcb, 10, sink);
  assert.equal(sent.length, 10);
  expire(tcb, 1_000, sink);
  const { ssthresh } = tcb.cc;
  assert.equal(ssthresh, 5 * MSS);
  ack(tcb, 1 + MSS, [], 1_010);
  output(tcb, 1_010, sink); // 2 and 3 leave again
  ack(tcb, 1 + MSS, [1 + 2 * MSS, 1 + 3 * MSS], 1_021);
  output(tcb, 1_021, sink);
  ack(tcb, 1 + MSS, [1 + 2 * MSS, 1 + 10 * MSS], 1_050); // the second one was lost once more
  assert.equal(tcb.cc.ssthresh, ssthresh);
  assert.equal(tcb.cc.inRecovery, false);
});

test("new text waits until everything lost has left again", () => {
  const { tcb, sent, sink } = established();
  write(tcb, 10);
  output(tcb, 10, sink);
  sent.length = 0;
  write(tcb, 1);
  tcb.snd.queue.push(plainChunk(new Uint8Array(100)));
  expire(tcb, 1_000, sink);
  tcb.cc.cwnd = MSS + 500; // room for a short new segment, none for a lost one
  output(tcb, 1_001, sink);
  assert.deepEqual(sent, [{ seq: 1, length: MSS }]);
});

test("after recovery the window is its threshold, wherever proportional reduction had brought it", () => {
  const { tcb, sink } = established();
  write(tcb, 10);
  output(tcb, 10, sink);
  ack(tcb, 1, [1 + MSS, 1 + 10 * MSS], 30);
  assert.equal(tcb.cc.inRecovery, true);
  output(tcb, 30, sink);
  ack(tcb, 1 + 10 * MSS, [], 50);
  assert.deepEqual([tcb.cc.inRecovery, tcb.cc.cwnd, tcb.cc.ssthresh], [false, 5 * MSS, 5 * MSS]);
});
