import assert from "node:assert/strict";
import { test } from "node:test";
import { Application, Rig, type RigOptions } from "./rig.ts";

async function established(
  options: RigOptions = {},
  peer: { mss?: number; windowScale?: number; wnd?: number; irs?: number } = {},
): Promise<{ rig: Rig; app: Application }> {
  const rig = new Rig(options);
  return { rig, app: await rig.establish(peer).ready() };
}

test("an ACK older than any window is challenged (RFC 5961 §5.2)", async () => {
  const { rig } = await established({}, { wnd: 100 });
  rig.send({ flags: "PA", seq: 5001, ack: -70_000, text: "old" });
  rig.expect({ flags: "A", seq: 1, ack: 5001 });
  rig.send({ flags: "PA", seq: 5001, ack: 1, text: "new" });
  rig.expect({ flags: "A", ack: 5004 });
});

test("an old segment does not bring its window back", async () => {
  const { rig, app } = await established();
  app.stream.credit(100);
  rig.send({ flags: "A", seq: 5003, ack: 1, wnd: 65_535, text: "cd" });
  rig.send({ flags: "A", seq: 5001, ack: 1, wnd: 0, text: "ab" }); // overtaken
  rig.frames.length = 0;
  app.write("goes out");
  rig.expect({ text: "goes out" });
});

test("text behind the FIN does not exist", async () => {
  const { rig, app } = await established();
  app.stream.credit(100);
  rig.send({ flags: "FA", seq: 5003, ack: 1 });
  rig.send({ flags: "A", seq: 5003, ack: 1, text: "beyond" });
  rig.expect({ flags: "A", ack: 5001 });
  rig.send({ flags: "A", seq: 5001, ack: 1, text: "abXXXX" });
  rig.expect({ flags: "A", ack: 5004 });
  assert.equal(app.text, "ab");
  assert.deepEqual(app.log, ["end"]);
});

test("a FIN behind the window comes with the text that was cut off before it", async () => {
  const { rig, app } = await established();
  rig.send({ flags: "FA", seq: 5001, ack: 1, text: new Uint8Array(65_495) });
  rig.expect({ ack: 5001 + 65_495 + 1 });
  const other = await established();
  other.rig.send({ flags: "A", seq: 5001, ack: 1, text: new Uint8Array(65_000) });
  other.rig.expect({ ack: 70_001 });
  other.rig.send({ flags: "FA", seq: 70_001, ack: 1, text: new Uint8Array(1000) }); // room for 535
  other.rig.expect({ ack: 70_536 });
  other.app.stream.credit(100_000);
  assert.deepEqual(other.app.log, []);
  app.stream.credit(65_495);
  assert.deepEqual(app.log, ["end"]);
});

test("each segment behind a gap has a duplicate ACK of its own, within one burst", async () => {
  const { rig, app } = await established();
  app.stream.credit(1000);
  for (let i = 0; i < 3; i++) rig.input(rig.frame({ flags: "A", seq: 5010 + 10 * i, ack: 1, text: "x" }));
  for (let i = 0; i < 3; i++) rig.expect({ flags: "A", seq: 1, ack: 5001 });
  rig.stack.drained();
  rig.expectNothing();
});

test("after a rest the congestion window starts again (RFC 5681 §4.1)", async () => {
  const { rig, app } = await established({}, { windowScale: 7, wnd: 4096 });
  for (let i = 0, acked = 1; i < 3; i++) {
    app.write(new Uint8Array(14_600));
    acked += 14_600;
    rig.send({ flags: "A", seq: 5001, ack: acked, wnd: 4096 });
    rig.frames.length = 0;
  }
  rig.clock.advance(201);
  app.write(new Uint8Array(60_000));
  assert.equal(rig.frames.length, 10);
});

test("a small window is used when the peer never had a larger one", async () => {
  const rig = new Rig();
  rig.send({ flags: "S", seq: 5000, wnd: 500, mss: 1460 });
  const app = await new Application(rig.attempts[0]!.accept()).ready();
  rig.expect({ flags: "SA" });
  rig.send({ flags: "A", seq: 5001, ack: 1, wnd: 500 });
  app.write(new Uint8Array(1200));
  rig.expect({ textLen: 500 });
  rig.send({ flags: "A", seq: 5001, ack: 501, wnd: 249 });
  rig.expectNothing(); // less than half
  rig.send({ flags: "A", seq: 5001, ack: 501, wnd: 250 });
  rig.expect({ textLen: 250 });
});

test("probing leaves no trace in the retransmission timer", async () => {
  const { rig, app } = await established({}, { wnd: 0 });
  app.write("abc");
  for (let i = 0; i < 6; i++) {
    while (rig.frames.length === 0) rig.clock.advance(100);
    rig.expect({ text: "a" });
    rig.send({ flags: "A", seq: 5001, ack: 1, wnd: 0 });
  }
  rig.send({ flags: "A", seq: 5001, ack: 1, wnd: 100 });
  rig.expect({ text: "abc" });
  rig.clock.advance(200);
  rig.expect({ text: "abc" });
});

test("the user timeout counts from the sending, not from the connection's birth", async () => {
  const { rig, app } = await established();
  rig.clock.advance(500_000);
  app.write("first after a long rest");
  rig.clock.advance(119_000);
  assert.deepEqual(app.log, []);
  rig.clock.advance(2_000);
  assert.deepEqual(app.log, ["reset timeout"]);
});

test("what was sent twice gives no sample of the round trip (Karn)", async () => {
  const { rig, app } = await established();
  app.write(new Uint8Array(5 * 1460));
  rig.frames.length = 0;
  for (let i = 0; i < 3; i++) rig.send({ flags: "A", seq: 5001, ack: 1 });
  rig.expect({ seq: 1, textLen: 1460 }); // fast retransmit
  rig.clock.advance(190);
  rig.send({ flags: "A", seq: 5001, ack: 5 * 1460 + 1 });
  app.write("x");
  rig.expect({ text: "x" });
  rig.clock.advance(200); // 190 ms as a sample would have made it longer
  rig.expect({ text: "x" });
});

test("after a lost SYN-ACK the timer starts from 3 s (RFC 6298 §5.7), and the SYN-ACK is no sample", async () => {
  const rig = new Rig();
  rig.send({ flags: "S", seq: 5000 });
  const app = await new Application(rig.attempts[0]!.accept()).ready();
  rig.expect({ flags: "SA" });
  rig.clock.advance(1000);
  rig.expect({ flags: "SA" });
  rig.send({ flags: "A", seq: 5001, ack: 1 });
  app.write("x");
  rig.expect({ text: "x" });
  rig.clock.advance(2999);
  rig.expectNothing();
  rig.clock.advance(1);
  rig.expect({ text: "x" });
});

test("one segment is not a super-segment, offload or not", async () => {
  const { rig, app } = await established({ offload: { checksum: true, tso: true } });
  app.write(new Uint8Array(1460));
  rig.expect({ textLen: 1460, gsoType: 0, gsoSize: 0 });
});

test("small writes that wait pin no memory of their writers", async () => {
  const { app } = await established({}, { wnd: 0 });
  let released = 0;
  for (let i = 0; i < 10; i++) app.stream.write({ bytes: new Uint8Array(100), release: () => released++ });
  assert.equal(released, 9, "all but the first");
});

test("no allowance is given after end", async () => {
  const { rig, app } = await established();
  app.write("bye");
  app.stream.end();
  app.allowance = 0;
  rig.send({ flags: "A", seq: 5001, ack: 5 });
  assert.equal(app.allowance, 0);
});

test("a reset before the consumer's first turn is told once", async () => {
  const rig = new Rig();
  const app = rig.establish();
  rig.send({ flags: "R", seq: 5001 });
  await app.ready();
  assert.deepEqual(app.log, ["reset peer"]);
});

test("a reset from within data: nothing more is sent or delivered", async () => {
  const rig = new Rig();
  rig.send({ flags: "S", seq: 5000 });
  const stream = rig.attempts[0]!.accept();
  rig.expect({ flags: "SA" });
  const log: string[] = [];
  stream.open({
    data: (chunk) => {
      log.push(`data ${chunk.bytes.length}`);
      chunk.release();
      stream.reset("protocol");
    },
    end: () => log.push("end"),
    reset: () => log.push("reset"),
    writable: () => {},
  });
  stream.credit(100);
  rig.send({ flags: "FPA", seq: 5001, ack: 1, text: "x" });
  rig.expect({ flags: "RA", seq: 1 });
  rig.clock.advance(1000);
  rig.expectNothing();
  assert.deepEqual(log, ["data 1"]);
  assert.equal(rig.framesHeld, 0);
});

test("TIME-WAIT answers no RST, wherever it lies", async () => {
  const { rig, app } = await established();
  app.stream.end();
  rig.expect({ flags: "FA" });
  rig.send({ flags: "FA", seq: 5001, ack: 2 });
  rig.expect({ flags: "A" });
  for (const seq of [5001, 5002, 9000]) rig.send({ flags: "R", seq });
  rig.expectNothing();
  rig.send({ flags: "FA", seq: 5001, ack: 2 });
  rig.expect({ flags: "A", ack: 5002 });
});

test("the oldest TIME-WAIT makes room", () => {
  const rig = new Rig();
  for (let i = 0; i < 4097; i++) {
    rig.port = 1024 + i;
    const app = rig.establish();
    app.stream.end();
    rig.send({ flags: "FA", seq: 5001, ack: 2 });
    rig.frames.length = 0;
  }
  rig.port = 1024;
  rig.send({ flags: "FA", seq: 5001, ack: 2 });
  rig.expect({ flags: "R" }); // forgotten
  rig.port = 1025;
  rig.send({ flags: "FA", seq: 5001, ack: 2 });
  rig.expect({ flags: "A", ack: 5002 });
});

test("beyond 16,384 connections a SYN is refused", () => {
  const rig = new Rig();
  for (let i = 0; i < 16_384; i++) {
    rig.port = 1024 + i;
    rig.send({ flags: "S", seq: 5000 });
    rig.attempts.pop()!.accept();
    rig.expect({ flags: "SA" });
    rig.send({ flags: "A", seq: 5001, ack: 1 });
  }
  assert.equal(rig.stack.connections, 16_384);
  rig.port = 60_000;
  rig.iss = 0;
  rig.send({ flags: "S", seq: 5000 });
  rig.expect({ flags: "RA", seq: 0, ack: 5001 });
  assert.equal(rig.counters.get("tcp.connections-full"), 1);
});

test("a SYN with FIN opens nothing", () => {
  const rig = new Rig();
  rig.iss = 0;
  rig.send({ flags: "SF", seq: 5000 });
  rig.expect({ flags: "RA", seq: 0, ack: 5002 });
  assert.equal(rig.attempts.length, 0);
});

test("initial sequence numbers differ by connection and move with time (RFC 6528)", () => {
  const rig = new Rig();
  const isn = (port: number) => {
    rig.port = port;
    rig.send({ flags: "S", seq: 5000 });
    rig.attempts.pop()!.accept();
    rig.expect({ flags: "SA" });
    rig.send({ flags: "R", seq: 5001 });
    return rig.iss!;
  };
  const [first, other] = [isn(1000), isn(1001)];
  assert.notEqual(first, other);
  rig.clock.advance(100);
  assert.equal((isn(1000) - first) >>> 0, 25_000);
});
