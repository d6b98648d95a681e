import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, type Random, randomUint32, seededRandom } from "../../src/base/mod.ts";
import { Application, CLIENT, ipFrame, Rig, SERVER } from "./rig.ts";

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const TIME_MS = 700;

/** Runs `step` with ever new random octets until the time is over; the seed of the failing step is in the message. */
function bombard(step: (random: Random, round: number) => void): number {
  const end = performance.now() + TIME_MS;
  let round = 0;
  for (; performance.now() < end; round++) {
    try {
      step(seededRandom(SEED + round), round);
    } catch (error) {
      throw new Error(`round ${round} with SEED=${SEED}`, { cause: error });
    }
  }
  return round;
}

function below(random: Random, limit: number): number {
  return randomUint32(random) % limit;
}

test("random frames are counted and dropped", (t) => {
  const rig = new Rig();
  const rounds = bombard((random) => {
    const frame = random(below(random, 120));
    // Half of them look like IP, so that the deeper parsers get work.
    if (frame.length > 11 && below(random, 2) === 0) frame[10] = below(random, 2) === 0 ? 0x45 : 0x60;
    rig.input(frame);
    rig.stack.drained();
    rig.frames.length = 0;
  });
  t.diagnostic(`SEED=${SEED}, ${rounds} frames`);
  assert.equal(rig.framesHeld, 0);
  assert.equal(rig.stack.connections, 0);
});

test("mutated frames of a living connection neither throw nor hold memory", async (t) => {
  const rig = new Rig({ offload: { checksum: true, tso: true } });
  const app = await rig.establish({ windowScale: 7 }).ready();
  app.stream.credit(50_000);
  const rounds = bombard((random, round) => {
    const letters = ["A", "PA", "FA", "S", "R", "SA", "RA", "PAF", ""][below(random, 9)]!;
    const frame = rig.frame({
      flags: letters,
      seq: 5001 + below(random, 70_000) - 2000,
      ack: below(random, 100),
      wnd: below(random, 65_536),
      text: random(below(random, 400)),
      ...(below(random, 4) === 0 ? { mss: below(random, 65_536), windowScale: below(random, 256) } : {}),
    });
    frame[0] = below(random, 4); // checksum to be trusted, mostly
    for (let flips = below(random, 4); flips > 0; flips--) frame[below(random, frame.length)] = below(random, 256);
    rig.input(frame.subarray(0, frame.length - (below(random, 8) === 0 ? below(random, frame.length) : 0)));
    if (below(random, 3) === 0) rig.stack.drained();
    if (below(random, 50) === 0) rig.clock.advance(below(random, 400));
    if (below(random, 10) === 0) app.stream.credit(below(random, 2000));
    for (const attempt of rig.attempts.splice(0)) {
      if (below(random, 3) === 0) attempt.refuse();
      else if (below(random, 2) === 0) {
        const other = new Application(attempt.accept());
        other.stream.credit(below(random, 3000));
        if (below(random, 2) === 0) other.stream.end();
        if (below(random, 20) === 0) other.stream.reset("shutdown");
      }
    }
    rig.frames.length = 0;
    if (round % 1000 === 0) assert.ok(rig.framesHeld < 1200, `${rig.framesHeld} frames held`);
  });
  rig.stack.close();
  t.diagnostic(`SEED=${SEED}, ${rounds} frames, ${JSON.stringify(rig.counters.snapshot())}`);
  assert.equal(rig.framesHeld, 0);
  assert.equal(rig.clock.pending, 0);
});

test("truncated frames of every kind are refused at every length", () => {
  const rig = new Rig({ handlers: { udp: () => assert.fail("a truncated datagram") } });
  rig.iss = 0;
  const udp = concat(Uint8Array.of(0x30, 0x39, 0, 53, 0, 12, 0, 0), Uint8Array.of(1, 2, 3, 4));
  const echo = concat(Uint8Array.of(8, 0, 0, 0, 0, 1, 0, 1), Uint8Array.of(1, 2, 3, 4));
  for (const whole of [
    rig.frame({ flags: "S", seq: 1, mss: 1460, windowScale: 7 }),
    ipFrame(CLIENT, SERVER, 17, udp, 6),
    ipFrame(CLIENT, SERVER, 1, echo, 2),
  ]) {
    for (let length = 0; length < whole.length; length++) rig.input(whole.slice(0, length));
  }
  rig.stack.drained();
  rig.expectNothing();
  assert.equal(rig.attempts.length, 0);
  assert.equal(rig.framesHeld, 0);
});

test("a flood of one-octet segments ahead of a gap stays bounded", async () => {
  const rig = new Rig();
  const app = await rig.establish().ready();
  app.stream.credit(60_000);
  for (let i = 0; i < 20_000; i++) {
    rig.input(rig.frame({ flags: "A", seq: 5003 + 2 * i, ack: 1, text: "x" }));
    rig.frames.length = 0;
  }
  assert.equal(rig.framesHeld, 0, "they are copied");
  rig.send({ flags: "A", seq: 5001, ack: 1, text: "ab" });
  assert.equal(app.received.length, 3);
});

test("a flood of one-octet segments without credit takes as much memory as it has octets", async () => {
  const rig = new Rig();
  const app = await rig.establish().ready();
  for (let i = 0; i < 60_000; i++) {
    rig.input(rig.frame({ flags: "A", seq: 5001 + i, ack: 1, text: "x" }));
  }
  assert.equal(rig.framesHeld, 0);
  let chunks = 0;
  app.stream.credit(1);
  rig.stack.drained();
  const before = app.received.length;
  assert.equal(before, 1);
  app.keep = true;
  app.stream.credit(100_000);
  chunks = app.kept.length;
  assert.equal(app.received.length, 60_000);
  assert.ok(chunks < 20, `${chunks} chunks`);
});
