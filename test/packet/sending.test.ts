import assert from "node:assert/strict";
import { test } from "node:test";
import { plainChunk } from "../../src/base/mod.ts";
import { type Application, Rig, type RigOptions } from "./rig.ts";

async function established(
  options: RigOptions = {},
  peer: { mss?: number; windowScale?: number; wnd?: number; irs?: number } = {},
): Promise<{ rig: Rig; app: Application }> {
  const rig = new Rig(options);
  return { rig, app: await rig.establish(peer).ready() };
}

const OFFLOAD = { offload: { checksum: true, tso: true } };

test("text is cut into segments of the MSS, the last one pushed", async () => {
  const { rig, app } = await established();
  app.write(new Uint8Array(3000));
  rig.expect({ flags: "A", seq: 1, textLen: 1460 });
  rig.expect({ flags: "A", seq: 1461, textLen: 1460 });
  rig.expect({ flags: "PA", seq: 2921, textLen: 80 });
  rig.expectNothing();
});

for (const v6 of [false, true]) {
  test(`with segmentation offload one frame carries many segments (${v6 ? "IPv6" : "IPv4"})`, async () => {
    const mss = v6 ? 1440 : 1460;
    const { rig, app } = await established({ ...OFFLOAD, v6 }, { windowScale: 7, wnd: 1 << 13 });
    app.write(new Uint8Array(10_000));
    const first = rig.expect({ flags: "PA", seq: 1, textLen: 10_000, gsoSize: mss, gsoType: v6 ? 4 : 1 });
    assert.equal(first.text.length, 10_000);
    rig.send({ flags: "A", seq: 5001, ack: 10_001, wnd: 1 << 13 });
    app.write(new Uint8Array(100_000));
    // The congestion window has grown by what was acknowledged; whole segments only.
    rig.expect({ flags: "A", textLen: Math.floor((10 * mss + 10_000) / mss) * mss, gsoSize: mss });
  });
}

test("a super-segment fits an IP packet and is whole segments", async () => {
  const { rig, app } = await established(OFFLOAD, { windowScale: 7, wnd: 1 << 13 });
  for (let acked = 1, round = 0; round < 6; round++) {
    app.write(new Uint8Array(120_000));
    while (rig.frames.length > 0) {
      assert.ok(rig.frames[0]!.length <= 10 + 65_535);
      const sent = rig.expect({});
      acked = sent.seq + sent.text.length;
      rig.send({ flags: "A", seq: 5001, ack: acked, wnd: 1 << 13 });
    }
    assert.equal(acked, 1 + 120_000 * (round + 1));
  }
});

test("small writes that wait are sent together", async () => {
  const { rig, app } = await established({}, { wnd: 0 });
  for (const word of ["one ", "two ", "three"]) app.write(word);
  rig.expectNothing();
  rig.send({ flags: "A", seq: 5001, ack: 1, wnd: 5000 });
  rig.expect({ flags: "PA", text: "one two three" });
});

test("large text is emitted from where it lies, and sent again from there", async () => {
  const emitted: (readonly Uint8Array[])[] = [];
  const { rig, app } = await established(
    { ...OFFLOAD, emitGathered: (pieces) => emitted.push([...pieces]) > 0 },
    { windowScale: 7, wnd: 1 << 13 },
  );
  app.write(new Uint8Array(14_600));
  assert.equal(emitted.length, 0, "short text is copied");
  rig.expect({ seq: 1, textLen: 14_600 });
  rig.send({ flags: "A", seq: 5001, ack: 14_601, wnd: 1 << 13 });
  const [first, second] = [new Uint8Array(20_000).fill(1), new Uint8Array(9_200).fill(2)];
  rig.stack.input(plainChunk(rig.frame({ flags: "A", seq: 5001, ack: 14_601, wnd: 1 << 13 })));
  app.write(first);
  app.write(second);
  rig.stack.drained();
  const whole = Buffer.concat([first, second]);
  rig.expect({ flags: "PA", seq: 14_601, text: new Uint8Array(whole), gsoSize: 1460, gsoType: 1 });
  const [headers, ...text] = emitted.pop()!;
  assert.equal(headers!.length, 10 + 40);
  assert.deepEqual(
    text.map(({ buffer }) => buffer),
    [first.buffer, second.buffer],
  );

  rig.clock.advance(1_000);
  rig.expect({ seq: 14_601, textLen: 1460 });
});

/** A connection that may send 400,000 octets at once, into a device that takes long super-segments. `turns`: ends of turns to come. */
async function bigSender(turns?: (() => void)[]): Promise<{
  rig: Rig;
  app: Application;
  emitted: Uint8Array[][];
  device: { takes: boolean };
}> {
  const emitted: Uint8Array[][] = [];
  const device = { takes: true };
  const emitGathered = (pieces: readonly Uint8Array[]) => {
    if (device.takes || pieces.reduce((sum, piece) => sum + piece.length, 0) <= 10 + 65_535) {
      return emitted.push(pieces.map((piece) => piece.slice())) > 0;
    }
    return false;
  };
  const { rig, app } = await established(
    {
      offload: { ...OFFLOAD.offload, bigTcp: true },
      emitGathered,
      ...(turns === undefined ? {} : { turnEnd: (run) => void turns.push(run) }),
    },
    { windowScale: 7, wnd: 1 << 13 },
  );
  for (let round = 0, ack = 1; round < 6; round++) {
    const length = 14_600 * 2 ** round;
    app.write(new Uint8Array(length));
    turns?.pop()?.();
    ack += length;
    rig.send({ flags: "A", seq: 5001, ack, wnd: 1 << 13 });
  }
  rig.frames.length = 0;
  emitted.length = 0;
  return { rig, app, emitted, device };
}

/** Of each frame: what its IP header says, and the text behind its headers. */
function lengthsOf(emitted: Uint8Array[][]): [totalLen: number, textLen: number][] {
  return emitted.map(([headers, ...text]) => [
    headers![12]! * 256 + headers![13]!,
    text.reduce((sum, { length }) => sum + length, 0),
  ]);
}

test("a device that takes longer super-segments gets them, with a total length of 0", async () => {
  const { app, emitted } = await bigSender();
  const longest = Math.floor((272 * 1024 - 40) / 1460) * 1460;
  app.write(Uint8Array.from({ length: 300_000 }, (_, i) => i % 251));
  assert.deepEqual(lengthsOf(emitted), [
    [0, longest],
    [40 + 300_000 - longest, 300_000 - longest],
  ]);
  const text = Buffer.concat(emitted.flatMap(([, ...pieces]) => pieces));
  assert.ok(text.every((octet, i) => octet === i % 251));
  assert.deepEqual(
    emitted.map(([headers]) => headers![10 + 20 + 13]! & 0x08),
    [0, 0x08],
    "the last one is pushed",
  );
});

test("a write of 64 KiB and more goes at once and whole into such a device", async () => {
  const turns: (() => void)[] = [];
  const { app, emitted } = await bigSender(turns);
  app.write(new Uint8Array(256 * 1024));
  app.write(new Uint8Array(64 * 1024));
  assert.deepEqual(lengthsOf(emitted), [
    [0, 256 * 1024],
    [0, 64 * 1024],
  ]);
  turns.pop()!();
  assert.equal(emitted.length, 2, "nothing was left for the turn's end");
});

test("a longer super-segment that is not taken goes in parts", async () => {
  const { rig, app, emitted, device } = await bigSender();
  device.takes = false;
  app.write(new Uint8Array(150_000).fill(7));
  const whole = Math.floor((65_535 - 40) / 1460) * 1460;
  assert.deepEqual(lengthsOf(emitted), [
    [40 + whole, whole],
    [40 + whole, whole],
    [40 + 150_000 - 2 * whole, 150_000 - 2 * whole],
  ]);
  const first = rig.expect({ flags: "A", textLen: whole });
  rig.expect({ flags: "A", seq: first.seq + whole, textLen: whole });
  rig.expect({ flags: "PA", seq: first.seq + 2 * whole, textLen: 150_000 - 2 * whole });
  rig.expectNothing();
});

test("text scattered in many pieces goes in parts too", async () => {
  const { rig, app, emitted } = await bigSender();
  rig.stack.input(plainChunk(rig.frame({ flags: "A", seq: 5001, ack: 1 + 63 * 14_600, wnd: 1 << 13 })));
  for (let i = 0; i < 40; i++) app.write(new Uint8Array(3_000).fill(i));
  rig.stack.drained();
  assert.deepEqual(emitted, []);
  const first = rig.expect({ flags: "A" });
  const second = rig.expect({ flags: "PA", seq: first.seq + first.text.length });
  assert.equal(first.text.length + second.text.length, 120_000);
  assert.ok([...first.text, ...second.text].every((octet, i) => octet === Math.floor(i / 3_000)));
});

test("after a loss no longer super-segments than usual are sent", async () => {
  const { rig, app, emitted } = await bigSender();
  app.write(new Uint8Array(200_000));
  assert.deepEqual(lengthsOf(emitted), [[0, 200_000]]);
  rig.frames.length = 0;
  emitted.length = 0;
  rig.clock.advance(1_000);
  let longest = 0;
  for (let round = 0; round < 12; round++) {
    let ack = 1 + 63 * 14_600 + 200_000;
    while (rig.frames.length > 0) {
      assert.ok(rig.frames[0]!.length <= 10 + 65_535);
      const { seq, text } = rig.expect({});
      ack = Math.max(ack, seq + text.length);
      longest = Math.max(longest, text.length);
    }
    rig.send({ flags: "A", seq: 5001, ack, wnd: 1 << 13 });
    app.write(new Uint8Array(80_000));
  }
  assert.ok(longest > 60_000);
});

/** A connection whose congestion window has room for 24,600 octets; `turn` ends the turn of the event loop. */
async function bulkSender(): Promise<{ rig: Rig; app: Application; turn: () => void }> {
  const turns: (() => void)[] = [];
  const { rig, app } = await established({ turnEnd: (run) => void turns.push(run) });
  app.write(new Uint8Array(10_000));
  rig.frames.length = 0;
  rig.send({ flags: "A", seq: 5001, ack: 10_001 });
  const turn = () => {
    assert.equal(turns.length, 1, "one call for each turn");
    turns.pop()!();
  };
  return { rig, app, turn };
}

test("what a large write leaves beyond whole frames goes with the next write, or at the turn's end", async () => {
  const { rig, app, turn } = await bulkSender();
  app.write(new Uint8Array(13 * 1460 + 1000));
  for (let i = 0; i < 13; i++) rig.expect({ flags: "A", textLen: 1460 });
  rig.expectNothing();
  turn();
  rig.expect({ flags: "PA", seq: 10_001 + 13 * 1460, textLen: 1000 });
  rig.send({ flags: "A", seq: 5001, ack: 10_001 + 13 * 1460 + 1000 });

  app.write(new Uint8Array(13 * 1460 + 1000));
  app.write(new Uint8Array(12 * 1460));
  for (let i = 0; i < 25; i++) rig.expect({ flags: "A", textLen: 1460 });
  rig.expectNothing();
  app.write(new Uint8Array(460)); // a small one does not wait, and takes along what does
  rig.expect({ flags: "PA", textLen: 1460 });
  turn();
  rig.expectNothing();
});

test("the end of the text does not wait for the turn's end", async () => {
  const { rig, app } = await bulkSender();
  app.write(new Uint8Array(13 * 1460 + 1000));
  app.stream.end();
  for (let i = 0; i < 13; i++) rig.expect({ flags: "A", textLen: 1460 });
  rig.expect({ flags: "FPA", textLen: 1000 });
});

test("a connection is allowed its share of what those that write may hold together", async () => {
  const rig = new Rig();
  const allowed: number[] = [];
  for (let i = 0; i < 17; i++) {
    rig.port = 1024 + i;
    const app = await rig.establish().ready();
    allowed.push(app.allowance);
    app.write("x");
    rig.expect({ seq: 1, text: "x" });
  }
  const MiB = 1024 * 1024;
  assert.deepEqual([allowed[0], allowed[4], allowed[8], allowed[16]], [MiB, MiB, MiB / 2, MiB / 4]);
});

test("no more than the peer's window is sent", async () => {
  const { rig, app } = await established({}, { wnd: 4000 });
  app.write(new Uint8Array(10_000));
  rig.expect({ seq: 1, textLen: 1460 });
  rig.expect({ seq: 1461, textLen: 1460 });
  rig.expectNothing(); // 1080 octets of window are left: less than a segment
  rig.send({ flags: "A", seq: 5001, ack: 2921, wnd: 1080 });
  rig.expectNothing(); // RFC 9293 §3.8.6.2.1
  rig.send({ flags: "A", seq: 5001, ack: 2921, wnd: 4000 });
  rig.expect({ seq: 2921, textLen: 1460 });
});

test("a lost segment is sent again when its timer runs out, and again at twice the wait", async () => {
  const { rig, app } = await established();
  app.write("lost");
  rig.expect({ seq: 1, text: "lost" });
  rig.clock.advance(199);
  rig.expectNothing();
  rig.clock.advance(1);
  rig.expect({ seq: 1, text: "lost" });
  rig.clock.advance(399);
  rig.expectNothing();
  rig.clock.advance(1);
  rig.expect({ seq: 1, text: "lost" });
  rig.send({ flags: "A", seq: 5001, ack: 5 });
  rig.clock.advance(100_000);
  rig.expectNothing();
});

test("after a timeout everything is sent again in slow start", async () => {
  const { rig, app } = await established();
  app.write(new Uint8Array(5 * 1460));
  for (let i = 0; i < 5; i++) rig.expect({ seq: 1 + i * 1460 });
  rig.clock.advance(200);
  rig.expect({ seq: 1, textLen: 1460 });
  rig.expectNothing(); // one segment
  rig.send({ flags: "A", seq: 5001, ack: 1461 });
  rig.expect({ seq: 1461, textLen: 1460 });
  rig.expect({ seq: 2921, textLen: 1460 });
  rig.expectNothing(); // two
  rig.send({ flags: "A", seq: 5001, ack: 7301 }); // the rest had arrived all along
  rig.clock.advance(100_000);
  rig.expectNothing();
});

test("the third duplicate ACK sends the lost segment at once; a partial ACK the next (RFC 6582)", async () => {
  const { rig, app } = await established();
  app.write(new Uint8Array(8 * 1460));
  for (let i = 0; i < 8; i++) rig.expect({ seq: 1 + i * 1460 });
  for (let i = 0; i < 2; i++) rig.send({ flags: "A", seq: 5001, ack: 1 });
  rig.expectNothing();
  rig.send({ flags: "A", seq: 5001, ack: 1 });
  rig.expect({ seq: 1, textLen: 1460 });
  rig.expectNothing();
  rig.send({ flags: "A", seq: 5001, ack: 2921 }); // the third one is missing too
  rig.expect({ seq: 2921, textLen: 1460 });
  rig.expectNothing();
  rig.send({ flags: "A", seq: 5001, ack: 8 * 1460 + 1 });
  rig.clock.advance(10_000);
  rig.expectNothing();
  assert.equal(rig.counters.get("tcp.fast-retransmit"), 2);
});

test("a silent peer is given up after 2 minutes", async () => {
  const { rig, app } = await established();
  app.write("anybody there?");
  rig.clock.advance(119_000);
  assert.deepEqual(app.log, []);
  rig.clock.advance(2_000);
  assert.deepEqual(app.log, ["reset timeout"]);
  assert.equal(rig.stack.connections, 0);
  const last = rig.frames.at(-1)!;
  assert.equal(rig.read(last).flags, "RA");
});

test("a closed window is probed as long as the peer answers", async () => {
  const { rig, app } = await established({}, { wnd: 0 });
  app.write("patience");
  rig.expectNothing();
  let waited = 0;
  for (let i = 0; i < 12; i++) {
    while (rig.frames.length === 0) {
      rig.clock.advance(100);
      waited += 100;
    }
    rig.expect({ flags: "A", seq: 1, text: "p" });
    rig.send({ flags: "A", seq: 5001, ack: 1, wnd: 0 });
  }
  assert.ok(waited > 240_000, `${waited} ms is longer than the user timeout`);
  assert.deepEqual(app.log, []);
  rig.expectNothing();
  rig.send({ flags: "A", seq: 5001, ack: 1, wnd: 100 });
  rig.expect({ flags: "PA", seq: 1, text: "patience" });
  rig.send({ flags: "A", seq: 5001, ack: 9, wnd: 100 });
  rig.clock.advance(100_000);
  rig.expectNothing();
});

test("a probe may be taken, octet by octet", async () => {
  const { rig, app } = await established({}, { wnd: 0 });
  app.write("ab");
  rig.clock.advance(200);
  rig.expect({ flags: "A", seq: 1, text: "a" });
  rig.send({ flags: "A", seq: 5001, ack: 2, wnd: 0 });
  rig.expectNothing();
  rig.clock.advance(200);
  rig.expect({ seq: 2, text: "b" });
  rig.send({ flags: "A", seq: 5001, ack: 3, wnd: 0 });
  rig.clock.advance(100_000);
  rig.expectNothing();
});

test("acknowledgements while probing stay inside the closed window", async () => {
  const { rig, app } = await established({}, { wnd: 0 });
  app.stream.credit(1000);
  app.write("ab");
  rig.clock.advance(200);
  rig.expect({ seq: 1, text: "a" });
  rig.send({ flags: "PA", seq: 5001, ack: 1, wnd: 0, text: "other way" });
  rig.expect({ flags: "A", seq: 1, ack: 5010 });
  assert.equal(app.text, "other way");
});

test("a FIN behind a closed window is probed for, too", async () => {
  const { rig, app } = await established({}, { wnd: 0 });
  app.stream.end();
  rig.clock.advance(200);
  rig.expect({ flags: "FA", seq: 1 });
  rig.send({ flags: "A", seq: 5001, ack: 2, wnd: 0 });
  rig.clock.advance(100_000);
  rig.expectNothing();
});

test("the allowance is the send buffer and comes back with the acknowledgements", async () => {
  const { rig, app } = await established({}, { wnd: 65_535 });
  assert.equal(app.allowance, 1024 * 1024);
  let released = 0;
  const size = 1460;
  app.stream.write({ bytes: new Uint8Array(size), release: () => released++ });
  app.allowance -= size;
  assert.equal(released, 0);
  rig.send({ flags: "A", seq: 5001, ack: 1001 });
  assert.equal(released, 0);
  assert.equal(app.allowance, 1024 * 1024 - 460);
  rig.send({ flags: "A", seq: 5001, ack: 1461 });
  assert.equal(released, 1);
  assert.equal(app.allowance, 1024 * 1024);
});

test("writing beyond the allowance or after end is a bug", async () => {
  const { app } = await established();
  assert.throws(() => app.write(new Uint8Array(1024 * 1024 + 1)), /allowance/);
  app.stream.end();
  assert.throws(() => app.write("x"), /after end/);
});

test("our numbers wrap around 2^32", async () => {
  // The ISS depends on the clock (4 µs steps): wait until it stands right before the wrap.
  const probe = new Rig();
  probe.send({ flags: "S", seq: 5000 });
  probe.attempts[0]!.accept();
  probe.expect({ flags: "SA" });
  const rig = new Rig();
  rig.clock.advance((2 ** 32 - 2000 - probe.iss!) / 250);
  const app = await rig.establish({ windowScale: 7, wnd: 512 }).ready();
  assert.ok(rig.iss! > 2 ** 32 - 4000, `ISS ${rig.iss}`);
  for (let i = 0, acked = 1; i < 5; i++) {
    app.write(new Uint8Array(2920).fill(i));
    rig.expect({ seq: acked, textLen: 1460 });
    rig.expect({ seq: acked + 1460, textLen: 1460 });
    rig.clock.advance(201); // lost
    rig.expect({ seq: acked, textLen: 1460 });
    acked += 2920;
    rig.send({ flags: "A", seq: 5001, ack: acked, wnd: 512 });
    rig.expectNothing();
  }
});

test("a peer with a tiny MSS does not make a packet of every octet", async () => {
  const { rig, app } = await established({}, { mss: 1 });
  app.write(new Uint8Array(96));
  rig.expect({ textLen: 48 });
  rig.expect({ textLen: 48 });
});
