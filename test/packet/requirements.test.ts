/** Rules of RFC 9293 that no other script shows; `docs/rfc-coverage.md` says which. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Application, Rig, SERVER_PORT } from "./rig.ts";

const MULTICAST = Uint8Array.of(224, 0, 0, 5);
const BROADCAST = Uint8Array.of(255, 255, 255, 255);
const NOBODY = Uint8Array.of(0, 0, 0, 0);
const LOOPBACK = Uint8Array.of(127, 0, 0, 1);
const MULTICAST6 = Uint8Array.from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

async function established(sackPermitted: boolean, wnd: number): Promise<{ rig: Rig; app: Application }> {
  const rig = new Rig();
  return { rig, app: await rig.establish({ sackPermitted, wnd, rttMs: 10 }).ready() };
}

test("without the MSS option segments are of 536 and 1,220 octets", async () => {
  for (const v6 of [false, true]) {
    const rig = new Rig({ v6 });
    rig.send({ flags: "S", seq: 5000 });
    const stream = rig.attempts.shift()!.accept();
    rig.expect({ flags: "SA", mss: v6 ? 1440 : 1460 });
    rig.send({ flags: "A", seq: 5001, ack: 1, wnd: 8000 });
    stream.open({ data() {}, end() {}, reset() {}, writable() {} });
    await Promise.resolve();
    stream.write({ bytes: new Uint8Array(3000), release() {} });
    const sent = rig.expect({ textLen: v6 ? 1220 : 536 });
    assert.equal(sent.mss, undefined, "on a SYN only");
  }
});

for (const sack of [false, true]) {
  test(`a window that shrinks stops new text, and what is out is sent again (${sack ? "SACK" : "no SACK"})`, async () => {
    const { rig, app } = await established(sack, 10 * 1460);
    app.write(new Uint8Array(4 * 1460));
    for (let i = 0; i < 4; i++) rig.expect({ seq: 1 + i * 1460 });
    rig.send({ flags: "A", seq: 5001, ack: 1461, wnd: 1460 });
    app.write(new Uint8Array(1460));
    rig.expectNothing();
    rig.clock.advance(500);
    const again = [];
    while (rig.frames.length > 0) again.push(rig.expect({}));
    assert.ok(
      again.some((sent) => sent.seq === 1461),
      "the oldest comes again",
    );
    assert.ok(
      again.every((sent) => sent.seq + sent.text.length <= 1 + 4 * 1460),
      "nothing new",
    );
    rig.send({ flags: "A", seq: 5001, ack: 1 + 4 * 1460, wnd: 1460 });
    rig.expect({ seq: 1 + 4 * 1460, textLen: 1460 });
  });

  test(`a window that shrinks to zero is asked about (${sack ? "SACK" : "no SACK"})`, async () => {
    const { rig, app } = await established(sack, 10 * 1460);
    app.write(new Uint8Array(2 * 1460));
    for (let i = 0; i < 2; i++) rig.expect({});
    rig.send({ flags: "A", seq: 5001, ack: 1461, wnd: 0 });
    let asked = 0;
    for (let ms = 0; ms < 200_000; ms += 100) {
      rig.clock.advance(100);
      if (rig.frames.length === 0) continue;
      asked++;
      rig.frames.length = 0;
      rig.send({ flags: "A", seq: 5001, ack: 1461, wnd: 0 });
    }
    assert.ok(asked > 5, `${asked} questions`);
    assert.deepEqual(app.log, [], "longer than the user timeout");
    rig.send({ flags: "A", seq: 5001, ack: 1461, wnd: 1460 });
    rig.clock.advance(60_000);
    assert.equal(rig.expect({}).seq, 1461);
  });
}

test("probes of a closed window come at growing intervals", async () => {
  const { rig, app } = await established(false, 0);
  app.write("x");
  const at: number[] = [];
  for (let ms = 0; ms < 20_000 && at.length < 6; ms++) {
    rig.clock.advance(1);
    if (rig.frames.length === 0) continue;
    at.push(rig.clock.now());
    rig.expect({ text: "x" });
    rig.send({ flags: "A", seq: 5001, ack: 1, wnd: 0 });
  }
  const waits = at.slice(1).map((moment, i) => moment - at[i]!);
  assert.deepEqual(waits, [400, 800, 1600, 3200, 6400]);
});

test("a RST with text is a RST", async () => {
  const { rig, app } = await established(false, 1000);
  app.stream.credit(100);
  rig.send({ flags: "R", seq: 5001, text: "because" });
  assert.deepEqual([app.log, app.text], [["reset peer"], ""]);
});

test("nothing is opened to or from an address that is not one host's", async () => {
  const rig = new Rig();
  const { local, remote } = rig;
  for (const address of [MULTICAST, BROADCAST]) {
    rig.local = address;
    rig.send({ flags: "S", seq: 5000 });
    await assert.rejects(rig.stack.connect({ address: local, port: 1 }, { address, port: SERVER_PORT }), {
      code: "net.not-unicast",
    });
  }
  rig.local = local;
  for (const address of [MULTICAST, BROADCAST, NOBODY, LOOPBACK]) {
    rig.remote = address;
    rig.send({ flags: "S", seq: 5000 });
  }
  rig.remote = MULTICAST6;
  rig.local = MULTICAST6;
  rig.send({ flags: "S", seq: 5000 });
  assert.equal(rig.attempts.length, 0);
  rig.expectNothing();
  assert.equal(rig.counters.get("ip.not-unicast"), 7);
  rig.remote = remote;
});
