import assert from "node:assert/strict";
import { test } from "node:test";
import { type Application, Rig, type RigOptions } from "./rig.ts";

/** Over IPv4, on a path of 1,500 octets. */
const MSS = 1_460;

async function established(
  options: RigOptions = {},
  peer: { windowScale?: number; irs?: number } = { windowScale: 7 },
): Promise<{ rig: Rig; app: Application }> {
  const rig = new Rig(options);
  return { rig, app: await rig.establish(peer).ready() };
}

test("acknowledgements wait for the end of the burst, or for 256 KiB", async () => {
  const { rig, app } = await established();
  app.stream.credit(10_000_000);
  rig.expect({ flags: "A" });
  const size = 60_000;
  for (let i = 0; i < 5; i++) {
    rig.expectNothing();
    rig.input(rig.frame({ flags: "A", seq: 5001 + i * size, ack: 1, text: new Uint8Array(size) }));
  }
  rig.expect({ flags: "A", ack: 5001 + 5 * size });
  rig.input(rig.frame({ flags: "A", seq: 5001 + 5 * size, ack: 1, text: new Uint8Array(size) }));
  rig.expectNothing();
  rig.stack.drained();
  rig.expect({ flags: "A", ack: 5001 + 6 * size });
  assert.equal(app.received.length, 6 * size);
});

test("without the end of the burst the ACK comes after 40 ms", async () => {
  const { rig, app } = await established();
  app.stream.credit(100);
  rig.input(rig.frame({ flags: "PA", seq: 5001, ack: 1, text: "x" }));
  rig.clock.advance(39);
  rig.expectNothing();
  rig.clock.advance(1);
  rig.expect({ flags: "A", ack: 5002 });
});

test("an answer within the burst carries the ACK", async () => {
  const { rig, app } = await established();
  app.stream.credit(100);
  rig.input(rig.frame({ flags: "PA", seq: 5001, ack: 1, text: "ping" }));
  app.write("pong");
  rig.expectNothing();
  rig.stack.drained();
  rig.expect({ flags: "PA", seq: 1, ack: 5005, text: "pong" });
  rig.expectNothing();
});

test("the credit is the window", async () => {
  const { rig, app } = await established();
  app.stream.credit(256 * 1024);
  rig.expect({ flags: "A", wnd: 1024 }); // in units of 256
  rig.send({ flags: "A", seq: 5001, ack: 1, text: new Uint8Array(51_200) });
  rig.expect({ ack: 56_201, wnd: 824 });
  app.stream.credit(51_200);
  rig.expectNothing(); // the window has not doubled
  for (let i = 1; i < 4; i++) {
    rig.send({ flags: "A", seq: 5001 + i * 51_200, ack: 1, text: new Uint8Array(51_200) });
    rig.expect({ flags: "A" });
  }
  app.stream.credit(3 * 51_200);
  rig.expect({ flags: "A", wnd: 1024 });
});

test("before any credit what fits the first window is kept, and given later", async () => {
  const { rig, app } = await established();
  rig.send({ flags: "PA", seq: 5001, ack: 1, text: "early" });
  rig.expect({ flags: "A", ack: 5006, wnd: 256 });
  assert.equal(app.text, "");
  assert.equal(rig.framesHeld, 0, "a few octets do not hold a frame");
  app.stream.credit(2);
  assert.equal(app.text, "ea");
  app.stream.credit(100);
  assert.equal(app.text, "early");
});

test("text beyond the window is refused, and asked for again when there is room", async () => {
  const { rig, app } = await established({}, {});
  rig.send({ flags: "A", seq: 5001, ack: 1, text: new Uint8Array(65_000) });
  rig.expect({ ack: 70_001, wnd: 535 });
  rig.send({ flags: "A", seq: 70_001, ack: 1, text: new Uint8Array(1000) });
  rig.expect({ ack: 70_536, wnd: 0 }); // the part that fits
  rig.send({ flags: "A", seq: 70_536, ack: 1, text: "z" }); // a probe
  rig.expect({ ack: 70_536, wnd: 0 });
  app.stream.credit(70_000);
  assert.equal(app.received.length, 65_535);
  rig.expect({ flags: "A", ack: 70_536, wnd: 4465 });
});

test("an ACK counts although the text beside it does not fit", async () => {
  const { rig, app } = await established({}, {});
  rig.send({ flags: "A", seq: 5001, ack: 1, text: new Uint8Array(65_495) });
  rig.send({ flags: "A", seq: 70_496, ack: 1, text: new Uint8Array(40) });
  rig.frames.length = 0;
  app.write("x");
  rig.expect({ text: "x" });
  rig.send({ flags: "A", seq: 70_536, ack: 2, text: "beyond" });
  rig.expect({ flags: "A", seq: 2, ack: 70_536, wnd: 0 });
  rig.clock.advance(100_000);
  rig.expectNothing();
});

test("a small opening of a closed window is told within 40 ms, a large one at once", async () => {
  const { rig, app } = await established({}, {});
  app.stream.credit(65_535);
  rig.expectNothing();
  rig.send({ flags: "A", seq: 5001, ack: 1, text: new Uint8Array(65_495) });
  rig.send({ flags: "A", seq: 70_496, ack: 1, text: new Uint8Array(40) });
  rig.frames.length = 0;
  app.stream.credit(100);
  rig.expectNothing();
  rig.clock.advance(40);
  rig.expect({ wnd: MSS });
  app.stream.credit(5000);
  rig.expect({ wnd: 5100 });
});

test("no window is too small for a segment, so that a consumer's last credit is always used up", async () => {
  const { rig, app } = await established({}, {});
  app.stream.credit(65_535);
  rig.expectNothing();
  rig.send({ flags: "A", seq: 5001, ack: 1, text: new Uint8Array(64_535) });
  // 1,000 octets are left: a peer with whole segments to send waits, unless it hears of room for one.
  rig.expect({ wnd: MSS });
  rig.send({ flags: "A", seq: 69_536, ack: 1, text: new Uint8Array(MSS) });
  rig.clock.advance(40);
  rig.expect({ ack: 69_536 + MSS, wnd: 0 });
  assert.equal(app.received.length, 65_535);
  app.stream.credit(MSS - 1_000);
  assert.equal(app.received.length, 64_535 + MSS, "what was over is delivered from where it waited");
  rig.clock.advance(40);
  rig.expectNothing(); // All credit is used up: the window stays closed.
  app.stream.credit(MSS);
  rig.expect({ wnd: MSS });
});

test("credits of one turn make one ACK", async () => {
  const turns: (() => void)[] = [];
  const { rig, app } = await established({ turnEnd: (run) => void turns.push(run) });
  for (const octets of [65_536, 131_072, 262_144]) app.stream.credit(octets);
  rig.expectNothing();
  assert.equal(turns.length, 1);
  turns.pop()!();
  rig.expect({ flags: "A", wnd: (7 * 65_536) / 256 });
  rig.expectNothing();
});

test("duplicate ACKs for what comes out of order, at once; one ACK for all when the gap is filled", async () => {
  const { rig, app } = await established();
  app.stream.credit(65_535);
  for (const [seq, text] of [
    [5004, "def"],
    [5010, "jkl"],
    [5007, "ghi"],
    [5006, "fgh"],
  ] as const) {
    rig.send({ flags: "A", seq, ack: 1, text });
    rig.expect({ flags: "A", seq: 1, ack: 5001 });
  }
  assert.equal(app.text, "");
  rig.send({ flags: "A", seq: 5001, ack: 1, text: "abcd" });
  rig.expect({ flags: "A", ack: 5013 });
  assert.equal(app.text, "abcdefghijkl");
  assert.equal(rig.framesHeld, 0);
});

test("what came first stays: a later copy cannot rewrite it", async () => {
  const { rig, app } = await established();
  app.stream.credit(65_535);
  rig.send({ flags: "A", seq: 5003, ack: 1, text: "cd" });
  rig.send({ flags: "A", seq: 5001, ack: 1, text: "abXXef" });
  assert.equal(app.text, "abcdef");
  rig.send({ flags: "A", seq: 5001, ack: 1, text: "YYYYYYgh" });
  assert.equal(app.text, "abcdefgh");
});

test("a duplicate is acknowledged again and not delivered again", async () => {
  const { rig, app } = await established();
  app.stream.credit(100);
  for (let i = 0; i < 2; i++) {
    rig.send({ flags: "PA", seq: 5001, ack: 1, text: "once" });
    rig.expect({ flags: "A", ack: 5005 });
  }
  assert.equal(app.text, "once");
  rig.send({ flags: "A", seq: 5000, ack: 1 }); // a keep-alive
  rig.expect({ flags: "A", ack: 5005 });
});

test("the frame goes back when all its chunks are released", async () => {
  const { rig, app } = await established();
  app.keep = true;
  app.stream.credit(41_000);
  rig.send({ flags: "A", seq: 5001, ack: 1, text: new Uint8Array(40_000) });
  assert.equal(rig.framesHeld, 1);
  app.kept.pop()!();
  assert.equal(rig.framesHeld, 0);
  rig.send({ flags: "A", seq: 45_001, ack: 1, text: new Uint8Array(24_000) }); // credit for 1,000
  app.stream.credit(10_000);
  app.stream.credit(13_000);
  assert.equal(app.received.length, 64_000);
  assert.equal(app.kept.length, 3);
  for (const release of app.kept) {
    assert.equal(rig.framesHeld, 1);
    release();
  }
  assert.equal(rig.framesHeld, 0);
});

test("the peer's numbers wrap around 2^32", async () => {
  const { rig, app } = await established({}, { irs: 2 ** 32 - 3 });
  app.stream.credit(100);
  rig.send({ flags: "A", seq: 3, ack: 1, text: "fgh" });
  rig.expect({ ack: 2 ** 32 - 2 });
  rig.send({ flags: "A", seq: 2 ** 32 - 2, ack: 1, text: "abcde" });
  rig.expect({ ack: 6 });
  assert.equal(app.text, "abcdefgh");
  rig.send({ flags: "FA", seq: 6, ack: 1 });
  rig.expect({ ack: 7 });
  assert.deepEqual(app.log, ["end"]);
});
