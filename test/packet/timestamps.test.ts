import assert from "node:assert/strict";
import { test } from "node:test";
import { Application, CLIENT, CLIENT_PORT, type PeerOptions, Rig, SERVER, SERVER_PORT } from "./rig.ts";

const DAY_MS = 24 * 3_600_000;

/** The peer's clock stands at 1000 during the handshake; `base` is ours then. */
async function established(peer: PeerOptions = {}): Promise<{ rig: Rig; app: Application; base: number }> {
  const rig = new Rig();
  let base = 0;
  const { expect } = rig;
  rig.expect = function (want) {
    const sent = expect.call(this, want);
    if (sent.flags === "SA") base = sent.tsVal;
    return sent;
  };
  const app = await rig.establish({ tsVal: 1000, windowScale: 7, ...peer }).ready();
  app.stream.credit(65_535);
  rig.frames.length = 0;
  return { rig, app, base };
}

test("timestamps are used if the peer offers them, and echoed (RFC 7323 §3.2)", async () => {
  const { rig, app, base } = await established();
  rig.clock.advance(7);
  rig.send({ flags: "PA", seq: 5001, ack: 1, tsVal: 1234, tsEcr: base, text: "x" });
  rig.expect({ flags: "A", ack: 5002, tsVal: (base + 7) >>> 0, tsEcr: 1234 });
  app.write(new Uint8Array(3000));
  rig.expect({ textLen: 1448, tsEcr: 1234 }); // the option takes its 12 octets (RFC 6691)
  rig.expect({ textLen: 1448 });
});

test("without the peer's offer there are none", async () => {
  const rig = new Rig();
  rig.send({ flags: "S", seq: 5000 });
  rig.attempts.shift()!.accept();
  rig.expect({ flags: "SA", tsVal: -1 });
});

test("our SYN offers all; what the SYN-ACK lacks is not used", async () => {
  const rig = new Rig();
  const connecting = rig.stack.connect({ address: SERVER, port: SERVER_PORT }, { address: CLIENT, port: CLIENT_PORT });
  const syn = rig.expect({ flags: "S", tsEcr: 0, windowScale: 8 });
  assert.ok(syn.tsVal >= 0 && syn.sackPermitted);
  rig.send({ flags: "SA", seq: 5000, ack: 1, mss: 1460 });
  rig.expect({ flags: "A", tsVal: -1 });
  await connecting;
});

test("a segment older than its predecessors is answered and dropped (PAWS, RFC 7323 §5.3)", async () => {
  const { rig, app } = await established();
  rig.send({ flags: "A", seq: 5001, ack: 1, tsVal: 2000, tsEcr: 0, text: "ab" });
  rig.expect({ ack: 5003, tsEcr: 2000 });
  rig.send({ flags: "A", seq: 5003, ack: 1, tsVal: 1999, tsEcr: 0, text: "XX" }); // wrapped around
  rig.expect({ flags: "A", ack: 5003, tsEcr: 2000 });
  rig.send({ flags: "FA", seq: 5003, ack: 1, tsVal: 1999, tsEcr: 0 });
  assert.deepEqual([app.text, app.log], ["ab", []]);
  rig.send({ flags: "A", seq: 5003, ack: 1, tsVal: 2000, tsEcr: 0, text: "cd" });
  assert.equal(app.text, "abcd");
});

test("PAWS does not look at RST (RFC 7323 §5.2)", async () => {
  const { rig, app } = await established();
  rig.send({ flags: "R", seq: 5001, tsVal: 1, tsEcr: 0 });
  assert.deepEqual(app.log, ["reset peer"]);
});

test("a RST needs no timestamp, everything else does (RFC 7323 §3.2)", async () => {
  for (const tsVal of [1000, 3_000_000_000]) {
    const { rig, app } = await established({ tsVal });
    rig.send({ flags: "A", seq: 5001, ack: 1, text: "bare" });
    rig.expectNothing();
    assert.equal(app.text, "");
    assert.equal(rig.counters.get("tcp.no-timestamp"), 1);
    rig.send({ flags: "R", seq: 5001 });
    assert.deepEqual(app.log, ["reset peer"]);
  }
});

test("timestamps wrap, and after 24 days of silence an old one is believed (RFC 7323 §5.5)", async () => {
  const { rig, app } = await established({ tsVal: 2 ** 32 - 5 });
  rig.send({ flags: "A", seq: 5001, ack: 1, tsVal: 3, tsEcr: 0, text: "a" });
  rig.expect({ ack: 5002, tsEcr: 3 });
  rig.clock.advance(23 * DAY_MS);
  rig.send({ flags: "A", seq: 5002, ack: 1, tsVal: 2, tsEcr: 0, text: "b" });
  assert.equal(app.text, "a");
  rig.clock.advance(1.5 * DAY_MS);
  rig.send({ flags: "A", seq: 5002, ack: 1, tsVal: 2, tsEcr: 0, text: "b" });
  assert.equal(app.text, "ab");
});

test("what is ahead of a gap does not become the echo (RFC 7323 §4.3)", async () => {
  const { rig } = await established();
  rig.send({ flags: "A", seq: 5004, ack: 1, tsVal: 3000, tsEcr: 0, text: "def" });
  rig.expect({ ack: 5001, tsEcr: 1000 });
  rig.send({ flags: "A", seq: 5001, ack: 1, tsVal: 3001, tsEcr: 0, text: "abc" });
  rig.expect({ ack: 5007, tsEcr: 3001 });
});

test("a SYN-ACK that was sent twice is measured by its echo, where Karn has no sample", async () => {
  for (const [tsVal, rtoMs] of [
    [undefined, 3_000], // RFC 6298 §5.7
    [1000, 200],
  ] as const) {
    const rig = new Rig();
    rig.send({ flags: "S", seq: 5000, ...(tsVal === undefined ? {} : { tsVal }) });
    const app = new Application(rig.attempts.shift()!.accept());
    rig.expect({ flags: "SA" });
    rig.clock.advance(1_000);
    const again = rig.expect({ flags: "SA" });
    rig.clock.advance(30);
    const stamp = tsVal === undefined ? {} : { tsVal: 1001, tsEcr: again.tsVal };
    rig.send({ flags: "A", seq: 5001, ack: 1, ...stamp });
    await app.ready();
    app.write("x");
    rig.expect({ text: "x" });
    rig.clock.advance(rtoMs - 1);
    rig.expectNothing();
    rig.clock.advance(1);
    rig.expect({ text: "x" });
  }
});

test("the SYN-ACK echoes the last SYN, before the answer and after it: the client's measure has no gap", () => {
  const rig = new Rig();
  const syn = (tsVal: number) => rig.send({ flags: "S", seq: 5000, tsVal, tsEcr: 0 });
  syn(1000);
  rig.clock.advance(1_000);
  syn(2000);
  rig.attempts.shift()!.accept();
  rig.expect({ flags: "SA", tsEcr: 2000 });
  rig.clock.advance(500);
  syn(2500);
  rig.expect({ flags: "SA", tsEcr: 2500 });
});

test("TIME-WAIT gives way to a SYN with a later timestamp, whatever its number (RFC 6191 §2)", async () => {
  for (const [tsVal, seqno, makesWay] of [
    [2001, 10, true],
    [2000, 10, false],
    [2000, 90_000, true],
    [1999, 90_000, false],
  ] as const) {
    const { rig, app, base } = await established();
    app.stream.end();
    rig.expect({ flags: "FA", seq: 1 });
    rig.send({ flags: "FA", seq: 5001, ack: 2, tsVal: 2000, tsEcr: base });
    rig.expect({ flags: "A", ack: 5002, tsEcr: 2000 });
    rig.send({ flags: "S", seq: seqno, tsVal, tsEcr: 0 });
    assert.equal(rig.attempts.length, makesWay ? 1 : 0, `${tsVal} ${seqno}`);
    if (!makesWay) rig.expect({ flags: "A", ack: 5002, tsEcr: 2000 });
  }
});

test("an echo from before the last sending is no round trip: the timer stays as short as the path (RFC 6298 §3)", async () => {
  const { rig, app } = await established({ sackPermitted: true });
  const send = () => {
    rig.frames.length = 0;
    app.write(new Uint8Array(1000));
    return rig.expect({ textLen: 1000 });
  };
  const first = send();
  rig.clock.advance(5);
  rig.send({ flags: "A", seq: 5001, ack: 1001, tsVal: 1001, tsEcr: first.tsVal });
  // It arrives, but what acknowledges it is lost for seconds; the duplicates' ACKs echo the first copy.
  const second = send();
  rig.clock.advance(5_000);
  assert.ok(rig.frames.length > 0, "sent again");
  rig.send({ flags: "A", seq: 5001, ack: 2001, tsVal: 1002, tsEcr: second.tsVal });
  send();
  rig.clock.advance(700);
  assert.ok(rig.frames.length > 0, "the next loss is noticed at once");
});
