import assert from "node:assert/strict";
import { test } from "node:test";
import { concat } from "../../src/base/mod.ts";
import { put16, put32 } from "../../src/net/wire/mod.ts";
import { type Application, CLIENT, CLIENT_PORT, ipFrame, Rig, SERVER, SERVER_PORT } from "./rig.ts";

const ROUTER = Uint8Array.of(100, 64, 0, 77);
const ROUTER6 = Uint8Array.from([0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 77]);

/** An ICMP error that quotes the first octets of a frame of ours. */
function error(rig: Rig, frame: Uint8Array, type: number, code: number, mtu = 0, quoted = 28): Uint8Array {
  const v6 = rig.local.length === 16;
  const head = Uint8Array.of(type, code, 0, 0, 0, 0, 0, 0);
  if (v6) put32(head, 4, mtu);
  else put16(head, 6, mtu);
  const body = concat(head, frame.slice(10, 10 + quoted + (v6 ? 20 : 0)));
  return v6 ? ipFrame(ROUTER6, rig.local, 58, body, 2) : ipFrame(ROUTER, rig.local, 1, body, 2);
}

async function established(v6: boolean, sackPermitted: boolean): Promise<{ rig: Rig; app: Application }> {
  const rig = new Rig({ v6 });
  const app = await rig.establish({ mss: 1400, sackPermitted, windowScale: 7, wnd: 8192, rttMs: 10 }).ready();
  return { rig, app };
}

for (const v6 of [false, true]) {
  for (const sack of [false, true]) {
    const name = `${v6 ? "IPv6" : "IPv4"}, ${sack ? "SACK" : "no SACK"}`;
    const headers = v6 ? 60 : 40;
    const tooBig: readonly [number, number] = v6 ? [2, 0] : [3, 4];

    test(`packet too big: the same text again, in segments that fit (${name})`, async () => {
      const { rig, app } = await established(v6, sack);
      const text = Uint8Array.from({ length: 2800 }, (_, i) => i);
      app.write(text);
      const frame = rig.frames[0]!;
      rig.expect({ seq: 1, textLen: 1400 });
      rig.expect({ seq: 1401, textLen: 1400 });
      rig.input(error(rig, frame, ...tooBig, 1300));
      assert.equal(rig.counters.get("icmp.told-too-big"), 1);
      const room = 1300 - headers;
      for (let at = 0; at < 2800; ) {
        const got = rig.expect({ seq: 1 + at });
        assert.ok(got.text.length > 0 && got.text.length <= room);
        assert.deepEqual(got.text, text.slice(at, at + got.text.length));
        at += got.text.length;
      }
      rig.expectNothing();
      rig.send({ flags: "A", seq: 5001, ack: 2801, wnd: 8192 });
      app.write(new Uint8Array(2000));
      rig.expect({ seq: 2801, textLen: room });
    });
  }

  test(`packet too big: never less than the least MTU, never more than before (${v6 ? "IPv6" : "IPv4"})`, async () => {
    const tooBig: readonly [number, number] = v6 ? [2, 0] : [3, 4];
    const { rig, app } = await established(v6, true);
    app.write(new Uint8Array(1400));
    const frame = rig.frames.shift()!;
    rig.input(error(rig, frame, ...tooBig, 1500));
    assert.equal(rig.frames.length, 0);
    rig.input(error(rig, frame, ...tooBig, v6 ? 100 : 68));
    rig.expect({ seq: 1, textLen: v6 ? 1220 : 512 });
  });
}

test("an error about a number that is not in flight is no error (RFC 5927 §4.1)", async () => {
  const { rig, app } = await established(false, true);
  app.write(new Uint8Array(1400));
  const frame = rig.frames.shift()!;
  rig.send({ flags: "A", seq: 5001, ack: 1401, wnd: 8192 });
  rig.input(error(rig, frame, 3, 4, 600));
  rig.stack.drained();
  app.write(new Uint8Array(1400));
  rig.expect({ textLen: 1400 });
  const ahead = frame.slice();
  put32(ahead, 34, (rig.iss! + 9000) >>> 0);
  rig.input(error(rig, ahead, 3, 4, 600));
  assert.equal(rig.counters.get("icmp.error-ignored"), 2);
  rig.expectNothing();
});

test("an error cut short, of another protocol, or damaged is ignored", async () => {
  const { rig, app } = await established(false, true);
  app.write(new Uint8Array(1400));
  const frame = rig.frames.shift()!;
  for (let quoted = 0; quoted < 28; quoted++) rig.input(error(rig, frame, 3, 4, 600, quoted));
  const udp = frame.slice();
  udp[19] = 17;
  rig.input(error(rig, udp, 3, 4, 600));
  rig.input(error(rig, frame, 4, 0)); // source quench (RFC 6633)
  const damaged = error(rig, frame, 3, 4, 600);
  damaged[damaged.length - 1]! ^= 1;
  rig.input(damaged);
  rig.expectNothing();
  assert.equal(rig.counters.get("icmp.told-too-big"), 0);
  assert.equal(rig.counters.get("icmp.checksum"), 1);
});

test("unreachable does not end a connection, but is the reason when nothing comes (RFC 9293 §3.9.2.2)", async () => {
  for (const [type, code] of [
    [3, 0],
    [3, 1],
    [3, 3],
    [3, 5],
    [11, 0],
    [12, 0],
  ] as const) {
    const { rig, app } = await established(false, false);
    app.write("x");
    const frame = rig.frames.shift()!;
    rig.input(error(rig, frame, type, code));
    assert.deepEqual(app.log, []);
    rig.clock.advance(130_000);
    assert.deepEqual(app.log, ["reset unreachable"]);
  }
});

test("an unreachable that was overcome is forgotten", async () => {
  const { rig, app } = await established(false, false);
  app.write("x");
  rig.input(error(rig, rig.frames.shift()!, 3, 1));
  rig.send({ flags: "A", seq: 5001, ack: 2, wnd: 8192 });
  app.write("y");
  rig.clock.advance(130_000);
  assert.deepEqual(app.log, ["reset timeout"]);
});

test("a SYN to a port where ICMP says nobody is: refused at once", async () => {
  const rig = new Rig();
  const connecting = rig.stack.connect({ address: SERVER, port: SERVER_PORT }, { address: CLIENT, port: CLIENT_PORT });
  rig.input(error(rig, rig.frames.shift()!, 3, 3));
  await assert.rejects(connecting, { code: "net.refused" });
  assert.equal(rig.stack.connections, 0);
});

test("each kind of error is told for what it is, or ignored (RFC 9293 §3.9.2.2)", async () => {
  for (const [v6, type, code, counted] of [
    [false, 3, 0, "told-unreachable"], // net
    [false, 3, 1, "told-unreachable"], // host
    [false, 3, 2, "told-refused"], // protocol
    [false, 3, 3, "told-refused"], // port
    [false, 3, 5, "told-unreachable"], // source route
    [false, 4, 0, "error-ignored"], // source quench, RFC 6633
    [false, 11, 0, "told-unreachable"], // time exceeded
    [false, 12, 0, "told-unreachable"], // parameter problem
    [true, 1, 0, "told-unreachable"], // no route
    [true, 1, 4, "told-refused"], // port
    [true, 3, 0, "told-unreachable"], // time exceeded
    [true, 4, 1, "told-refused"], // next header
    [true, 4, 0, "told-unreachable"],
    [true, 100, 0, "error-ignored"], // private experimentation, RFC 4443 §2.1
  ] as const) {
    const { rig, app } = await established(v6, true);
    app.write("x");
    rig.input(error(rig, rig.frames[0]!, type, code));
    assert.equal(rig.counters.get(`icmp.${counted}`), 1, `${v6 ? "ICMPv6" : "ICMP"} ${type}, ${code}`);
    assert.deepEqual(app.log, [], "none of them ends an established connection (RFC 5927 §5.2)");
  }
});
