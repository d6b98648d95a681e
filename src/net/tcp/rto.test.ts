import assert from "node:assert/strict";
import { test } from "node:test";
import { initialWindow, newCongestion, onDupAck, onNewAck, onTimeout } from "./congestion.ts";
import { CONGESTION_WINDOW_MAX } from "./limits.ts";
import { backOff, currentRtoMs, newRttEstimate, sampleAck, startTiming } from "./rto.ts";
import * as seq from "./seq.ts";

test("the estimate follows RFC 6298 §2", () => {
  const rtt = newRttEstimate();
  assert.equal(currentRtoMs(rtt), 1000);
  startTiming(rtt, 100, 0);
  startTiming(rtt, 200, 5); // one at a time
  sampleAck(rtt, 50, 10, -1);
  assert.ok(rtt.timing);
  sampleAck(rtt, 100, 400, -1);
  assert.deepEqual([rtt.srttMs, rtt.rttvarMs, rtt.rtoMs], [400, 200, 1200]);
  startTiming(rtt, 300, 1000);
  sampleAck(rtt, 300, 1200, -1); // 200 ms
  assert.deepEqual([rtt.srttMs, rtt.rttvarMs, rtt.rtoMs], [375, 200, 1175]);
});

test("the timer has a floor and a ceiling; a retransmitted segment is no sample (Karn)", () => {
  const rtt = newRttEstimate();
  startTiming(rtt, 100, 0);
  sampleAck(rtt, 100, 0.05, -1);
  assert.equal(currentRtoMs(rtt), 200);
  startTiming(rtt, 200, 1);
  for (let i = 0; i < 12; i++) backOff(rtt);
  assert.equal(currentRtoMs(rtt), 60_000);
  sampleAck(rtt, 200, 30_000, -1);
  assert.equal(currentRtoMs(rtt), 200);
});

test("slow start, then one segment for each window (RFC 5681 §3.1)", () => {
  const cc = newCongestion(1000, 0);
  assert.equal(cc.cwnd, 10_000);
  assert.equal(initialWindow(2190), 14_600);
  assert.equal(initialWindow(8960), 17_920);
  onNewAck(cc, 10_000, 10_000, 1000, 0);
  assert.equal(cc.cwnd, 20_000);
  onTimeout(cc, 20_000, 1000, 20_000, false);
  assert.deepEqual([cc.cwnd, cc.ssthresh], [1000, 10_000]);
  onTimeout(cc, 20_000, 1000, 1000, true); // again: ssthresh stays
  assert.equal(cc.ssthresh, 10_000);
  cc.cwnd = 10_000;
  for (let i = 0; i < 10; i++) onNewAck(cc, 1000, 21_000 + i * 1000, 1000, 9000);
  assert.ok(cc.cwnd > 10_900 && cc.cwnd <= 11_000, `${cc.cwnd}`);
});

test("recovery ends with the ACK of all that was sent before it (RFC 6582 §3.2)", () => {
  const cc = newCongestion(1000, 0);
  cc.cwnd = 20_000;
  assert.deepEqual(
    [1, 2, 3, 4].map(() => onDupAck(cc, 1, 20_001, 1000, 20_000)),
    [false, false, true, false],
  );
  assert.deepEqual([cc.ssthresh, cc.cwnd, cc.recover], [10_000, 14_000, 20_001]);
  assert.equal(onNewAck(cc, 5000, 5001, 1000, 15_000), true); // partial
  assert.equal(cc.cwnd, 10_000);
  assert.equal(onNewAck(cc, 15_000, 20_001, 1000, 0), false); // full
  assert.deepEqual([cc.inRecovery, cc.cwnd], [false, 2000]);
  // Duplicates of what was covered begin nothing new.
  assert.equal([1, 2, 3].map(() => onDupAck(cc, 20_001, 20_001, 1000, 0)).includes(true), false);
});

test("a loss is found however long ago the last one was: the numbers wrap meanwhile", () => {
  const cc = newCongestion(1000, 0);
  cc.ssthresh = 0;
  let ack = 1;
  for (let i = 0; i < 40; i++) {
    ack = seq.add(ack, 2 ** 26); // 2.5 GiB in all
    onNewAck(cc, 2 ** 26, ack, 1000, 10_000);
  }
  let lost = false;
  for (let i = 0; i < 3; i++) lost = onDupAck(cc, ack, seq.add(ack, 10_000), 1000, 10_000);
  assert.equal(lost, true);
});

test("the congestion window has a limit", () => {
  const cc = newCongestion(1000, 0);
  for (let i = 1; i < 100; i++) onNewAck(cc, 2 ** 20, i * 2 ** 20, 1000, 0);
  assert.equal(cc.cwnd, CONGESTION_WINDOW_MAX);
});
