import assert from "node:assert/strict";
import { test } from "node:test";
import { type Application, type PeerOptions, Rig, type RigOptions } from "./rig.ts";

const KEEP_ALIVE = { idleMs: 7_200_000, intervalMs: 75_000, count: 3 };

async function established(
  options: RigOptions = { keepAlive: KEEP_ALIVE },
  peer: PeerOptions = {},
): Promise<{ rig: Rig; app: Application }> {
  const rig = new Rig(options);
  return { rig, app: await rig.establish(peer).ready() };
}

test("without the setting an idle connection stays silent for ever", async () => {
  const { rig, app } = await established({});
  rig.clock.advance(100 * 3_600_000);
  rig.expectNothing();
  assert.deepEqual(app.log, []);
  assert.equal(rig.clock.pending, 0);
});

test("a silent peer is asked after two hours, with a number before the window (RFC 9293 §3.8.4)", async () => {
  const { rig, app } = await established();
  rig.clock.advance(KEEP_ALIVE.idleMs - 1);
  rig.expectNothing();
  rig.clock.advance(1);
  rig.expect({ flags: "A", seq: 0, ack: 5001, textLen: 0 });
  rig.send({ flags: "A", seq: 5001, ack: 1 });
  rig.clock.advance(KEEP_ALIVE.idleMs - 1);
  rig.expectNothing();
  rig.clock.advance(1);
  rig.expect({ flags: "A", seq: 0 });
  assert.deepEqual(app.log, []);
});

test("one lost answer does not end it, all of them do", async () => {
  const { rig, app } = await established();
  rig.clock.advance(KEEP_ALIVE.idleMs + 2 * KEEP_ALIVE.intervalMs);
  for (let i = 0; i < 3; i++) rig.expect({ flags: "A", seq: 0 });
  rig.clock.advance(KEEP_ALIVE.intervalMs - 1);
  assert.deepEqual(app.log, []);
  rig.clock.advance(1);
  assert.deepEqual(app.log, ["reset timeout"]);
  rig.expect({ flags: "RA", seq: 1 });
  assert.equal(rig.stack.connections, 0);
});

test("a peer that has forgotten us answers by RST", async () => {
  const { rig, app } = await established();
  rig.clock.advance(KEEP_ALIVE.idleMs);
  rig.expect({ flags: "A", seq: 0 });
  rig.send({ flags: "R", seq: 5001 });
  assert.deepEqual(app.log, ["reset peer"]);
});

test("while text is outstanding the retransmission timer asks, not this", async () => {
  const { rig, app } = await established({ keepAlive: { idleMs: 150, intervalMs: 10, count: 1 } });
  app.write("x");
  rig.expect({ text: "x" });
  rig.clock.advance(199);
  rig.expectNothing();
  rig.clock.advance(1);
  rig.expect({ text: "x" });
  rig.send({ flags: "A", seq: 5001, ack: 2 });
  rig.clock.advance(150);
  rig.expect({ flags: "A", seq: 1 });
});

test("we answer a peer's keep-alive, with text and without", async () => {
  const { rig } = await established();
  rig.send({ flags: "A", seq: 5000, ack: 1 });
  rig.expect({ flags: "A", seq: 1, ack: 5001 });
  rig.send({ flags: "A", seq: 5000, ack: 1, text: "z" });
  rig.expect({ flags: "A", seq: 1, ack: 5001 });
});

test("the user timeout is a setting (RFC 9293 §3.8.3)", async () => {
  const { rig, app } = await established({ userTimeoutMs: 300_000 });
  app.write("anybody there?");
  rig.clock.advance(299_000);
  assert.deepEqual(app.log, []);
  rig.clock.advance(2_000);
  assert.deepEqual(app.log, ["reset timeout"]);
});
