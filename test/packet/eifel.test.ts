/** Retransmissions without need are found by their timestamps and taken back (RFC 3522, RFC 4015). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Application, Rig } from "./rig.ts";

/** 1,460 less the timestamps option. */
const MSS = 1448;
const RTT_MS = 20;
const WINDOW = 8192;

class Script {
  readonly rig = new Rig();
  readonly app: Application;
  /** The peer's clock. */
  #tsVal = 1000;

  constructor() {
    this.app = this.rig.establish({
      tsVal: this.#tsVal,
      sackPermitted: true,
      windowScale: 7,
      wnd: WINDOW,
      rttMs: RTT_MS,
    });
  }

  /** Writes segments and takes them off the wire; returns when they left, by our clock. */
  send(count: number, from = 0): number {
    this.app.write(new Uint8Array(count * MSS));
    let sentAt = 0;
    for (let i = from; i < from + count; i++) sentAt = this.rig.expect({ seq: 1 + i * MSS, textLen: MSS }).tsVal;
    this.rig.expectNothing();
    return sentAt;
  }

  ack(segments: number, echo: number, ...blocks: [number, number][]): void {
    const sack = blocks.length === 0 ? {} : { sack: blocks.flat().map((at) => 1 + at * MSS) };
    const stamps = { tsVal: ++this.#tsVal, tsEcr: echo };
    this.rig.send({ flags: "A", seq: 5001, ack: 1 + segments * MSS, wnd: WINDOW, ...stamps, ...sack });
  }

  /** Until the retransmission timer has run out once more; what it sent, by our clock. */
  timeout(): number {
    const count = this.rig.counters.get("tcp.retransmission-timeout");
    while (this.rig.counters.get("tcp.retransmission-timeout") === count) {
      this.rig.frames.length = 0;
      this.rig.clock.advance(1);
    }
    const sentAt = this.rig.expect({ seq: 1, textLen: MSS }).tsVal;
    this.rig.expectNothing();
    return sentAt;
  }

  /** Acknowledges what `burst` has sent; how many leave now. */
  ackBurst(from: number, count: number): number {
    this.rig.clock.advance(RTT_MS);
    const sentAt = this.rig.read(this.rig.frames.at(-1)!).tsVal;
    this.rig.frames.length = 0;
    this.ack(from + count, sentAt);
    return this.rig.frames.length;
  }

  /** How many segments leave at once when there is enough to send. */
  burst(): number {
    this.rig.frames.length = 0;
    this.app.write(new Uint8Array(60 * MSS));
    return this.rig.frames.length;
  }
}

async function script(): Promise<Script> {
  const made = new Script();
  await made.app.ready();
  return made;
}

test("the answers were only late: after the timeout nothing else is sent again, and the window is as before", async () => {
  const s = await script();
  const sentAt = s.send(8);
  s.timeout();
  s.ack(8, sentAt); // the first copies' ACK, after all
  s.rig.expectNothing();
  assert.ok(s.ackBurst(8, s.burst()) >= 16, "it still doubles with every round trip");
});

test("the first of several was late, the rest may still come: not taken for lost any more", async () => {
  const s = await script();
  const sentAt = s.send(8);
  s.timeout();
  s.ack(1, sentAt);
  s.rig.expectNothing();
  s.ack(8, sentAt);
  s.rig.expectNothing();
  assert.ok(s.burst() >= 14);
});

test("what is missing after that is found as ever", async () => {
  const s = await script();
  const sentAt = s.send(8);
  s.timeout();
  s.ack(1, sentAt);
  s.rig.expectNothing();
  s.rig.clock.advance(RTT_MS);
  s.ack(1, sentAt, [3, 8]);
  for (const lost of [1, 2]) s.rig.expect({ seq: 1 + lost * MSS, textLen: MSS });
  s.rig.expectNothing();
  s.rig.clock.advance(RTT_MS);
  s.ack(8, sentAt + 2 * RTT_MS + 500);
  assert.ok(s.burst() <= 6, "and halves the window");
});

test("what the second copy's timestamp acknowledges was lost: slow start", async () => {
  const s = await script();
  s.send(8);
  const again = s.timeout();
  s.ack(1, again);
  for (const lost of [1, 2]) s.rig.expect({ seq: 1 + lost * MSS, textLen: MSS });
  s.rig.expectNothing();
});

test("only the first ACK decides, and only where it echoes anything", async () => {
  const s = await script();
  const sentAt = s.send(8);
  const again = s.timeout();
  s.ack(1, again);
  s.rig.frames.length = 0;
  s.ack(2, sentAt); // an old ACK's echo
  assert.ok(s.rig.frames.length > 0 && s.rig.frames.length <= 4, "still in slow start");
});

test("after a second timeout in a row the first copy still tells that both were in vain", async () => {
  const s = await script();
  const sentAt = s.send(8);
  s.timeout();
  s.timeout();
  s.ack(1, sentAt);
  s.rig.expectNothing();
});

test("a fast retransmission in vain halves nothing", async () => {
  const s = await script();
  s.rig.clock.advance(5);
  const sentAt = s.send(8);
  s.rig.clock.advance(RTT_MS);
  s.ack(0, sentAt, [1, 8]); // the first is overtaken by seven
  s.rig.expect({ seq: 1, textLen: MSS });
  s.ack(8, sentAt); // and comes
  s.rig.expectNothing();
  assert.ok(s.ackBurst(8, s.burst()) >= 16);
});

test("a fast retransmission that was needed halves the window", async () => {
  const s = await script();
  s.rig.clock.advance(5);
  const sentAt = s.send(8);
  s.rig.clock.advance(RTT_MS);
  s.ack(0, sentAt, [1, 8]);
  const again = s.rig.expect({ seq: 1, textLen: MSS }).tsVal;
  s.rig.clock.advance(RTT_MS);
  s.ack(8, again);
  assert.ok(s.burst() <= 6);
});
