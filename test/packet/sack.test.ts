import assert from "node:assert/strict";
import { test } from "node:test";
import { type Application, type PeerOptions, Rig, type RigOptions } from "./rig.ts";

const MSS = 1460;
const RTT_MS = 20;

async function established(peer: PeerOptions = {}, options: RigOptions = {}): Promise<{ rig: Rig; app: Application }> {
  const rig = new Rig(options);
  return {
    rig,
    app: await rig.establish({ sackPermitted: true, windowScale: 7, wnd: 8192, rttMs: RTT_MS, ...peer }).ready(),
  };
}

/** Writes `count` segments and takes them off the wire. */
function sendSegments(rig: Rig, app: Application, count: number, from = 0): void {
  app.write(new Uint8Array(count * MSS).fill(count));
  for (let i = from; i < from + count; i++) rig.expect({ seq: 1 + i * MSS, textLen: MSS });
  rig.expectNothing();
}

/** The edges of segments `[from, to)`. */
function block(from: number, to = from + 1): [number, number] {
  return [1 + from * MSS, 1 + to * MSS];
}

function ack(rig: Rig, segments: number, ...blocks: [number, number][]): void {
  rig.clock.advance(0.1); // nothing arrives in the moment in which it was sent
  const sack = blocks.length === 0 ? {} : { sack: blocks.flat() };
  rig.send({ flags: "A", seq: 5001, ack: 1 + segments * MSS, wnd: 8192, ...sack });
}

test("SACK is agreed upon by both SYNs, or not at all (RFC 2018 §2)", async () => {
  const rig = new Rig();
  rig.send({ flags: "S", seq: 5000, sackPermitted: true });
  rig.attempts.shift()!.accept();
  assert.equal(rig.expect({ flags: "SA" }).sackPermitted, true);
  rig.port++;
  rig.send({ flags: "S", seq: 5000 });
  rig.attempts.shift()!.accept();
  assert.equal(rig.expect({ flags: "SA" }).sackPermitted, false);
});

test("our ACKs report what waits behind a gap, the newest block first (RFC 2018 §4)", async () => {
  const { rig, app } = await established();
  app.stream.credit(65_535);
  const segment = (seq: number) => rig.send({ flags: "A", seq, ack: 1, wnd: 8192, text: "0123456789" });
  segment(5011);
  rig.expect({ flags: "A", ack: 5001, sack: [5011, 5021] });
  segment(5031);
  rig.expect({ ack: 5001, sack: [5031, 5041, 5011, 5021] });
  segment(5021); // joins the two
  rig.expect({ ack: 5001, sack: [5011, 5041] });
  for (const seq of [5061, 5081, 5101, 5121]) segment(seq);
  for (let i = 0; i < 3; i++) rig.expect({});
  rig.expect({ sack: [5121, 5131, 5101, 5111, 5081, 5091, 5061, 5071] }); // no room for the fifth
  segment(5001);
  rig.expect({ ack: 5041, sack: [5121, 5131, 5101, 5111, 5081, 5091, 5061, 5071] });
  for (const seq of [5041, 5051, 5071, 5091, 5111]) segment(seq);
  assert.equal(app.received.length, 130);
  const last = rig.frames.at(-1)!;
  assert.equal(rig.read(last).sack, undefined);
});

test("no SACK goes to a peer that did not ask for it", async () => {
  const { rig, app } = await established({ sackPermitted: false });
  app.stream.credit(100);
  rig.send({ flags: "A", seq: 5011, ack: 1, text: "later" });
  rig.expect({ ack: 5001, sack: undefined });
});

test("only what is missing is sent again, at once, and nothing twice (RFC 6675)", async () => {
  const { rig, app } = await established();
  sendSegments(rig, app, 10);
  rig.clock.advance(RTT_MS);
  ack(rig, 1, block(2)); // segments 1, 4 and 5 are lost
  ack(rig, 1, block(2, 4));
  rig.expectNothing();
  ack(rig, 1, block(6), block(2, 4));
  rig.expect({ seq: block(1)[0], textLen: MSS });
  for (let i = 7; i < 10; i++) ack(rig, 1, block(6, i + 1), block(2, 4));
  const again = [];
  while (rig.frames.length > 0) again.push(rig.expect({}).seq);
  assert.deepEqual(again, [block(4)[0], block(5)[0]]);
  ack(rig, 10);
  rig.clock.advance(60_000);
  rig.expectNothing();
  assert.equal(rig.counters.get("tcp.retransmission-timeout"), 0);
});

test("the window halves once for all losses of one flight, and returns to its threshold", async () => {
  const { rig, app } = await established();
  sendSegments(rig, app, 10);
  rig.clock.advance(RTT_MS);
  ack(rig, 0, block(1, 5));
  rig.expect({ seq: 1 });
  ack(rig, 0, block(1, 5), block(6, 10));
  rig.expect({ seq: block(5)[0] });
  rig.expectNothing();
  app.write(new Uint8Array(40 * MSS));
  while (rig.frames.length > 0) rig.expect({});
  ack(rig, 10);
  let last = 0;
  while (rig.frames.length > 0) {
    const sent = rig.expect({});
    last = sent.seq + sent.text.length;
  }
  assert.equal(last, block(14)[1], "five segments are out: half of the ten");
  assert.equal(rig.counters.get("tcp.fast-retransmit"), 2);
});

test("a retransmission that is lost is found to be, without the timer (RFC 8985 §3.3)", async () => {
  const { rig, app } = await established();
  sendSegments(rig, app, 9);
  rig.clock.advance(RTT_MS);
  ack(rig, 0, block(1, 9));
  rig.expect({ seq: 1, textLen: MSS });
  app.write(new Uint8Array(3 * MSS));
  rig.expect({ seq: block(9)[0], textLen: MSS }); // allowed by what has arrived
  rig.frames.length = 0;
  rig.clock.advance(RTT_MS);
  ack(rig, 0, block(1, 10)); // it was sent after the retransmission
  rig.expect({ seq: 1, textLen: MSS });
  assert.equal(rig.counters.get("tcp.retransmission-timeout"), 0);
});

test("reordering is waited for a quarter of a round trip once it was seen (RFC 8985 §6.2 step 4)", async () => {
  const { rig, app } = await established({ rttMs: 40 });
  sendSegments(rig, app, 10);
  rig.clock.advance(40);
  ack(rig, 0, block(1, 3));
  ack(rig, 3); // the first came late
  rig.expectNothing();
  ack(rig, 3, block(4, 8));
  rig.expectNothing();
  rig.clock.advance(9);
  rig.expectNothing();
  rig.clock.advance(2);
  rig.expect({ seq: block(3)[0], textLen: MSS });
});

test("a lost tail is probed for after two round trips, long before the timer (RFC 8985 §7)", async () => {
  const { rig, app } = await established();
  sendSegments(rig, app, 2);
  rig.clock.advance(RTT_MS);
  ack(rig, 2);
  sendSegments(rig, app, 5, 2);
  rig.clock.advance(2 * RTT_MS - 1);
  rig.expectNothing();
  rig.clock.advance(2);
  rig.expect({ seq: block(6)[0], textLen: MSS });
  rig.clock.advance(RTT_MS);
  ack(rig, 3, block(6)); // 3, 4, 5 were lost with it
  const again = [];
  while (rig.frames.length > 0) again.push(rig.expect({}).seq);
  assert.equal(again[0], block(3)[0]);
  rig.clock.advance(RTT_MS);
  ack(rig, 7);
  assert.equal(rig.counters.get("tcp.retransmission-timeout"), 0);
  assert.equal(rig.counters.get("tcp.tail-probe"), 1);
  rig.frames.length = 0;
  rig.clock.advance(60_000);
  rig.expectNothing();
});

test("a peer that sends all the while does not put the probe off", async () => {
  const { rig, app } = await established();
  app.stream.credit(65_535);
  sendSegments(rig, app, 3);
  let got = 5001;
  let probed = false;
  for (let ms = 0; ms < 100 && !probed; ms++) {
    rig.clock.advance(1);
    rig.send({ flags: "A", seq: got, ack: 1, wnd: 8192, text: "x" });
    got++;
    probed = rig.frames.some((frame) => rig.read(frame).text.length > 0);
    rig.frames.length = 0;
  }
  assert.ok(probed, "within 100 ms, before the timer");
});

test("one tail-loss probe, then the timer", async () => {
  const { rig, app } = await established();
  sendSegments(rig, app, 1);
  rig.clock.advance(2 * RTT_MS + 39); // two round trips, and the delay of a lone ACK
  rig.expectNothing();
  rig.clock.advance(1);
  rig.expect({ seq: 1 });
  rig.clock.advance(195);
  rig.expectNothing();
  rig.clock.advance(10);
  rig.expect({ seq: 1 });
  assert.equal(rig.counters.get("tcp.retransmission-timeout"), 1);
  assert.equal(rig.counters.get("tcp.tail-probe"), 1);
});

test("a D-SACK is not taken for news (RFC 2883)", async () => {
  const { rig, app } = await established();
  sendSegments(rig, app, 6);
  ack(rig, 3);
  for (let i = 0; i < 5; i++) ack(rig, 3, block(1));
  rig.expectNothing();
  ack(rig, 6);
  rig.clock.advance(60_000);
  rig.expectNothing();
});

test("what a D-SACK shows to have been sent in vain makes us wait longer for reordered segments", async () => {
  const { rig, app } = await established({ rttMs: 40 });
  sendSegments(rig, app, 10);
  rig.clock.advance(40);
  ack(rig, 0, block(1, 3));
  ack(rig, 3); // reordering
  ack(rig, 3, block(1)); // and a D-SACK
  ack(rig, 3, block(4, 8));
  rig.clock.advance(15);
  rig.expectNothing();
  rig.clock.advance(6); // two quarters of a round trip
  rig.expect({ seq: block(3)[0], textLen: MSS });
});

test("SACK of what was never sent, or upside down, is ignored", async () => {
  const { rig, app } = await established();
  sendSegments(rig, app, 4);
  for (const edges of [block(9, 20), [block(2)[1], block(2)[0]], [0xffff0000, 0xffff1000]] as [number, number][]) {
    ack(rig, 0, edges);
  }
  rig.expectNothing();
  ack(rig, 4);
  rig.clock.advance(60_000);
  rig.expectNothing();
});

test("after a timeout all that was not SACKed is sent again in slow start", async () => {
  const { rig, app } = await established();
  sendSegments(rig, app, 6);
  ack(rig, 0, block(2));
  while (rig.counters.get("tcp.retransmission-timeout") === 0) {
    rig.frames.length = 0;
    rig.clock.advance(1);
  }
  rig.expect({ seq: 1, textLen: MSS });
  rig.expectNothing();
  ack(rig, 1, block(2));
  rig.expect({ seq: block(1)[0] });
  rig.expect({ seq: block(3)[0] });
  rig.expectNothing();
  ack(rig, 4);
  rig.expect({ seq: block(4)[0] });
  rig.expect({ seq: block(5)[0] });
  ack(rig, 6);
  rig.clock.advance(60_000);
  rig.expectNothing();
});

test("a peer that throws away what it had reported gets it again (RFC 2018 §8)", async () => {
  const { rig, app } = await established();
  sendSegments(rig, app, 3);
  ack(rig, 0, block(1, 3));
  rig.clock.advance(1_000); // twice the timer, and no answer
  rig.frames.length = 0;
  ack(rig, 1); // the rest is gone
  const again = new Set<number>();
  for (let i = 0; i < 20; i++) {
    while (rig.frames.length > 0) again.add(rig.expect({}).seq);
    rig.clock.advance(200);
  }
  assert.ok(again.has(block(1)[0]) && again.has(block(2)[0]), [...again].join());
  ack(rig, 3);
  assert.deepEqual(app.log, []);
});

test("a super-segment that is lost goes again as one, a FIN behind it too", async () => {
  const { rig, app } = await established({}, { offload: { checksum: true, tso: true } });
  app.write(new Uint8Array(3 * MSS));
  rig.expect({ seq: 1, textLen: 3 * MSS });
  app.write(new Uint8Array(6 * MSS + 7));
  rig.expect({ seq: block(3)[0], textLen: 6 * MSS + 7 });
  app.stream.end();
  rig.expect({ flags: "FA" });
  rig.clock.advance(RTT_MS);
  const end = block(9)[0] + 7;
  rig.send({ flags: "A", seq: 5001, ack: 1, wnd: 8192, sack: [block(3)[0], end] });
  rig.expect({ seq: 1, textLen: 3 * MSS, gsoSize: MSS });
  rig.clock.advance(RTT_MS);
  rig.send({ flags: "A", seq: 5001, ack: end, wnd: 8192 });
  rig.expect({ flags: "FA", seq: end });
});
