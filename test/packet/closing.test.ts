import assert from "node:assert/strict";
import { test } from "node:test";
import { type Application, Rig } from "./rig.ts";

async function established(options = {}): Promise<{ rig: Rig; app: Application }> {
  const rig = new Rig(options);
  const app = await rig.establish().ready();
  app.stream.credit(1_000_000);
  rig.frames.length = 0; // the window update
  return { rig, app };
}

test("the peer half-closes first; our half goes on", async () => {
  const { rig, app } = await established();
  rig.send({ flags: "FPA", seq: 5001, ack: 1, text: "bye" });
  assert.equal(app.text, "bye");
  assert.deepEqual(app.log, ["end"]);
  rig.expect({ flags: "A", seq: 1, ack: 5005 });

  app.write("still here");
  rig.expect({ flags: "PA", seq: 1, ack: 5005, text: "still here" });
  rig.send({ flags: "A", seq: 5005, ack: 11 });
  app.stream.end();
  rig.expect({ flags: "FA", seq: 11, ack: 5005 });
  assert.equal(rig.stack.connections, 1);
  rig.send({ flags: "A", seq: 5005, ack: 12 });
  rig.expectNothing();
  assert.equal(rig.stack.connections, 0);
  assert.equal(rig.framesHeld, 0);
});

test("we half-close first; the peer's half goes on; TIME-WAIT acknowledges the FIN again", async () => {
  const { rig, app } = await established();
  app.write("last");
  rig.expect({ flags: "PA", text: "last" });
  app.stream.end();
  rig.expect({ flags: "FA", seq: 5, ack: 5001 });
  rig.send({ flags: "A", seq: 5001, ack: 6 }); // FIN-WAIT-2
  rig.clock.advance(600_000); // half-closed connections may live
  rig.send({ flags: "PA", seq: 5001, ack: 6, text: "more" });
  rig.expect({ flags: "A", seq: 6, ack: 5005 });
  assert.equal(app.text, "more");
  rig.send({ flags: "FA", seq: 5005, ack: 6 });
  rig.expect({ flags: "A", seq: 6, ack: 5006 });
  assert.deepEqual(app.log, ["end"]);
  assert.equal(rig.stack.connections, 0);

  rig.send({ flags: "FA", seq: 5005, ack: 6 });
  rig.expect({ flags: "A", seq: 6, ack: 5006 });
  rig.send({ flags: "R", seq: 5006 }); // RFC 1337: ignored
  rig.send({ flags: "FA", seq: 5005, ack: 6 });
  rig.expect({ flags: "A", seq: 6, ack: 5006 });
  rig.clock.advance(4_001);
  rig.send({ flags: "FA", seq: 5005, ack: 6 });
  rig.expect({ flags: "R", seq: 6 });
});

test("text and FIN go out in one segment when both wait", async () => {
  const rig = new Rig();
  const app = await rig.establish({ wnd: 0 }).ready();
  app.write("all");
  app.stream.end();
  rig.expectNothing();
  rig.send({ flags: "A", seq: 5001, ack: 1, wnd: 1000 });
  rig.expect({ flags: "FPA", seq: 1, text: "all" });
});

// RFC 9293 §3.6, case 3.
test("simultaneous close passes through CLOSING and TIME-WAIT", async () => {
  const { rig, app } = await established();
  app.stream.end();
  rig.expect({ flags: "FA", seq: 1, ack: 5001 });
  rig.send({ flags: "FA", seq: 5001, ack: 1 }); // does not cover our FIN
  rig.expect({ flags: "A", seq: 2, ack: 5002 });
  assert.deepEqual(app.log, ["end"]);
  assert.equal(rig.stack.connections, 1);
  rig.send({ flags: "A", seq: 5002, ack: 2 });
  rig.expectNothing();
  assert.equal(rig.stack.connections, 0);
});

test("a lost FIN is sent again", async () => {
  const { rig, app } = await established();
  app.stream.end();
  rig.expect({ flags: "FA", seq: 1 });
  rig.clock.advance(200);
  rig.expect({ flags: "FA", seq: 1 });
  rig.expectNothing();
  rig.send({ flags: "A", seq: 5001, ack: 2 });
  rig.clock.advance(100_000);
  rig.expectNothing();
});

test("a FIN that comes before its text waits for it", async () => {
  const { rig, app } = await established();
  rig.send({ flags: "FA", seq: 5004, ack: 1 });
  rig.expectNothing();
  assert.deepEqual(app.log, []);
  rig.send({ flags: "A", seq: 5001, ack: 1, text: "abc" });
  rig.expect({ flags: "A", ack: 5005 });
  assert.equal(app.text, "abc");
  assert.deepEqual(app.log, ["end"]);
});

test("end waits for the credit that the last text needs", async () => {
  const rig = new Rig();
  const app = await rig.establish().ready();
  app.stream.credit(3);
  rig.send({ flags: "FA", seq: 5001, ack: 1, text: "abcdef" });
  assert.equal(app.text, "abc");
  assert.deepEqual(app.log, []);
  rig.expect({ flags: "A", ack: 5008 });
  app.stream.credit(3);
  assert.equal(app.text, "abcdef");
  assert.deepEqual(app.log, ["end"]);
  rig.expectNothing();
});

test("the peer's RST reaches the consumer, whatever was unsent", async () => {
  const { rig, app } = await established();
  app.write("unanswered");
  rig.expect({ text: "unanswered" });
  rig.send({ flags: "R", seq: 5001 });
  assert.deepEqual(app.log, ["reset peer"]);
  assert.equal(rig.stack.connections, 0);
  app.write("into the void"); // released, not sent
  app.stream.end();
  app.stream.reset("shutdown");
  rig.clock.advance(100_000);
  rig.expectNothing();
  assert.deepEqual(app.log, ["reset peer"]);
});

test("our reset is a RST on the wire, and the local handler is not told", async () => {
  const { rig, app } = await established();
  app.write("x");
  rig.expect({ text: "x" });
  app.stream.reset("unreachable");
  rig.expect({ flags: "RA", seq: 2, ack: 5001 });
  assert.deepEqual(app.log, []);
  rig.send({ flags: "PA", seq: 5001, ack: 2, text: "late" });
  rig.expect({ flags: "R", seq: 2 });
  assert.equal(rig.framesHeld, 0);
});

test("a RST inside the window but not at its start is challenged (RFC 5961 §3.2)", async () => {
  const { rig, app } = await established();
  rig.send({ flags: "R", seq: 5002 });
  rig.expect({ flags: "A", seq: 1, ack: 5001 });
  rig.send({ flags: "R", seq: 4999 });
  rig.expectNothing();
  assert.deepEqual(app.log, []);
  rig.send({ flags: "R", seq: 5001 });
  assert.deepEqual(app.log, ["reset peer"]);
});

test("a SYN inside the window is challenged (RFC 5961 §4.2), at most 100 times a second", async () => {
  const { rig, app } = await established();
  for (let i = 0; i < 150; i++) rig.send({ flags: "S", seq: 5002 });
  assert.equal(rig.frames.length, 100);
  rig.expect({ flags: "A", seq: 1, ack: 5001 });
  rig.frames.length = 0;
  rig.clock.advance(1000);
  rig.send({ flags: "S", seq: 5002 });
  rig.expect({ flags: "A", seq: 1, ack: 5001 });
  assert.deepEqual(app.log, []);
});

test("an ACK of what was never sent is challenged and ignored (RFC 5961 §5.2)", async () => {
  const { rig, app } = await established();
  rig.send({ flags: "PA", seq: 5001, ack: 900, text: "evil" });
  rig.expect({ flags: "A", seq: 1, ack: 5001 });
  assert.equal(app.text, "");
  assert.equal(rig.framesHeld, 0);
});

test("a new connection takes the place of TIME-WAIT when its number is higher", async () => {
  const { rig, app } = await established();
  app.stream.end();
  rig.expect({ flags: "FA" });
  rig.send({ flags: "FA", seq: 5001, ack: 2 });
  rig.expect({ flags: "A", ack: 5002 });
  rig.send({ flags: "S", seq: 4000 });
  rig.expect({ flags: "A", ack: 5002 }); // an old one is not a new connection
  rig.send({ flags: "S", seq: 6000 });
  assert.equal(rig.attempts.length, 1);
  rig.attempts[0]!.accept();
  rig.expect({ flags: "SA", ack: 6001 });
});

test("segments of no connection: RST, and silence for RST (RFC 9293 §3.10.7.1)", () => {
  const rig = new Rig();
  rig.iss = 0;
  rig.send({ flags: "A", seq: 1, ack: 777 });
  rig.expect({ flags: "R", seq: 777, ack: 0 });
  rig.send({ flags: "F", seq: 10, text: "abc" });
  rig.expect({ flags: "RA", seq: 0, ack: 14 });
  rig.send({ flags: "R", seq: 10 });
  rig.expectNothing();
  assert.equal(rig.framesHeld, 0);
});

test("closing the stack resets everything and leaves no timer", async () => {
  const { rig, app } = await established();
  rig.port++;
  rig.send({ flags: "S", seq: 1 });
  const { aborted } = rig.attempts.at(-1)!;
  rig.stack.close();
  rig.expect({ flags: "RA" });
  rig.expect({ flags: "RA" });
  assert.deepEqual(app.log, ["reset shutdown"]);
  assert.equal(aborted.aborted, true);
  assert.equal(rig.clock.pending, 0);
  assert.equal(rig.stack.connections, 0);
  rig.send({ flags: "S", seq: 1 });
  rig.expectNothing();
  assert.equal(rig.framesHeld, 0);
});
