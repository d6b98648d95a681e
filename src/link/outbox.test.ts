import assert from "node:assert/strict";
import { test } from "node:test";
import { LinkBudget } from "./budget.ts";
import { encodeFrame } from "./frames.ts";
import { HEADER_LEN, IDLE_SPARE_SEGMENTS, MAX_PAYLOAD, PACING_FLOOR, REPLAY_LIMIT, SEGMENT_LEN } from "./limits.ts";
import { TestClock } from "./link-harness.ts";
import { Outbox } from "./outbox.ts";
import { Pacer } from "./pacing.ts";

/** A carrier that keeps references, as a TLS socket behind a slow path does. */
function slowOutbox() {
  const written: Uint8Array[] = [];
  const carrier = {
    writable: true,
    write: (bytes: Uint8Array) => void written.push(bytes),
  };
  const outbox = new Outbox(new TestClock(), { limit: REPLAY_LIMIT, budget: new LinkBudget().replay });
  outbox.attach(carrier, 0);
  return { outbox, carrier, written };
}

const WINDOW = encodeFrame({ type: "window", stream: 1, offset: 1 });
const PING = encodeFrame({ type: "ping", id: 1 });

test("one 65,504-octet piece is one write of four full records", () => {
  const { outbox, written } = slowOutbox();
  const piece = new Uint8Array(4 * MAX_PAYLOAD).fill(7);
  for (let at = 0; at < piece.length; ) at += outbox.data(1, piece.subarray(at));
  outbox.flush();
  assert.deepEqual(
    written.map((bytes) => bytes.length),
    [SEGMENT_LEN],
  );
});

test("bulk data behind a small frame ends with its TLS record again", () => {
  const { outbox, written } = slowOutbox();
  outbox.unnumbered(PING);
  const lengths: number[] = [];
  for (let i = 0; i < 4; i++) lengths.push(outbox.data(1, new Uint8Array(MAX_PAYLOAD)));
  assert.deepEqual(lengths, [MAX_PAYLOAD - PING.length, MAX_PAYLOAD, MAX_PAYLOAD, MAX_PAYLOAD]);
  assert.equal(written[0]!.length, SEGMENT_LEN);
});

test("what is written stays unchanged until a later frame is acknowledged", () => {
  const { outbox, written } = slowOutbox();
  const copies: Uint8Array[] = [];
  let frames = 0;
  const flush = () => {
    outbox.flush();
    for (const bytes of written.slice(copies.length)) copies.push(bytes.slice());
  };
  for (let round = 0; round < 40; round++) {
    frames++;
    outbox.data(round + 1, new Uint8Array(15_000).fill(round));
    // Unnumbered frames at a segment's end are not covered by what is acknowledged before them.
    for (let i = 0; i < 300; i++) outbox.unnumbered(PING);
    flush();
    const firstLive = written.length - 2;
    assert.equal(outbox.acknowledge(frames), undefined);
    for (let i = Math.max(0, firstLive); i < written.length; i++) assert.deepEqual(written[i], copies[i], `write ${i}`);
  }
});

test("segments are used again, one by one or many at once; an idle link keeps few", () => {
  const { outbox, written } = slowOutbox();
  let frames = 0;
  /** Segments' worth of data, acknowledged at the end but for the last `left` frames; the memory they took. */
  const run = (segments: number, left: number) => {
    for (let i = 0; i < 4 * segments; i++) outbox.data(1, new Uint8Array(MAX_PAYLOAD));
    frames += 4 * segments;
    assert.equal(outbox.acknowledge(frames - left), undefined);
    return new Set(written.splice(0).map((bytes) => bytes.buffer));
  };
  const first = run(30, 1);
  assert.ok(run(28, 0).isSubsetOf(first));
  for (let i = 0; i < 100; i++) assert.ok(run(1, 0).isSubsetOf(first));
  outbox.calm();
  const afterRest = run(30, 0);
  assert.equal(afterRest.intersection(first).size, IDLE_SPARE_SEGMENTS + 1); // and the last one
});

test("unnumbered frames behind the last acknowledged one stay unchanged, too", () => {
  const { outbox, written } = slowOutbox();
  outbox.data(1, new Uint8Array(100));
  const copies: Uint8Array[] = [];
  for (let id = 0; id < 3 * SEGMENT_LEN; id += PING.length) {
    outbox.unnumbered(encodeFrame({ type: "ping", id }));
    if (id % 1024 === 0) outbox.flush();
    for (const bytes of written.slice(copies.length)) copies.push(bytes.slice());
    if (id === SEGMENT_LEN) assert.equal(outbox.acknowledge(1), undefined);
  }
  assert.deepEqual(written, copies);
});

test("only numbered frames count as unacknowledged, and only sent ones can be acknowledged", () => {
  const { outbox } = slowOutbox();
  outbox.unnumbered(PING);
  assert.equal(outbox.unacked, 0);
  outbox.numbered(WINDOW);
  outbox.data(1, new Uint8Array(100));
  assert.equal(outbox.unacked, WINDOW.length + HEADER_LEN + 100);
  assert.deepEqual(outbox.acknowledge(1), { malformed: "link.ack" });
  outbox.flush();
  assert.equal(outbox.acknowledge(2), undefined);
  assert.equal(outbox.unacked, 0);
  assert.deepEqual(outbox.acknowledge(1), { malformed: "link.ack" });
  assert.deepEqual(outbox.acknowledge(3), { malformed: "link.ack" });
});

test("data stops at the pacing limit, control frames go on", () => {
  const { outbox } = slowOutbox();
  while (outbox.dataMayGo) outbox.data(1, new Uint8Array(MAX_PAYLOAD));
  assert.ok(outbox.unacked >= PACING_FLOOR && outbox.unacked < PACING_FLOOR + SEGMENT_LEN);
  assert.ok(outbox.controlMayGo);
});

test("the limit follows what the path delivers in its shortest round trip", () => {
  const pacer = new Pacer();
  pacer.rtt(100);
  assert.equal(pacer.limit, PACING_FLOOR);
  // 100 ms at 20 MB/s: 2 MB fit the path.
  let acked = 0;
  for (let now = 1000; now < 3000; now += 100) {
    acked += Math.min(2_000_000, pacer.limit);
    pacer.acked(acked, pacer.limit, now);
  }
  assert.ok(Math.abs(pacer.limit - 4_000_000) < 100_000, `${pacer.limit}`);
  // The path gets slower: the limit follows while it is kept full.
  for (let now = 3000; now < 20_000; now += 100) {
    acked += 400_000;
    pacer.acked(acked, pacer.limit, now);
  }
  assert.ok(pacer.limit < 900_000, `${pacer.limit}`);
});
