import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, equal, fromHex } from "../../src/base/mod.ts";
import type { UdpDatagram } from "../../src/net/stack/mod.ts";
import { addWords, isIntact, pseudoHeaderSum } from "../../src/net/wire/mod.ts";
import { CLIENT, CLIENT6, ipFrame, kept, Rig, SERVER, SERVER6 } from "./rig.ts";

function echoRequest(v6: boolean): Uint8Array {
  const body = concat(Uint8Array.of(v6 ? 128 : 8, 0, 0, 0, 0x12, 0x34, 0, 7), new Uint8Array(56).fill(0xab));
  return v6 ? ipFrame(CLIENT6, SERVER6, 58, body, 2) : ipFrame(CLIENT, SERVER, 1, body, 2);
}

function udp(v6: boolean, payload: Uint8Array, checksum = true): Uint8Array {
  const length = 8 + payload.length;
  const body = concat(Uint8Array.of(0x30, 0x39, 0, 53, length >> 8, length & 0xff, 0, 0), payload);
  return ipFrame(v6 ? CLIENT6 : CLIENT, v6 ? SERVER6 : SERVER, 17, body, checksum ? 6 : undefined);
}

for (const v6 of [false, true]) {
  const family = v6 ? "IPv6" : "IPv4";
  const bodyAt = v6 ? 50 : 30;

  test(`ping is answered with what it brought (${family})`, () => {
    const rig = new Rig({ v6 });
    rig.input(echoRequest(v6));
    const reply = rig.frames.shift()!;
    assert.equal(reply[bodyAt], v6 ? 129 : 0);
    assert.deepEqual(reply.slice(bodyAt + 4, bodyAt + 8), Uint8Array.of(0x12, 0x34, 0, 7));
    assert.deepEqual(reply.slice(bodyAt + 8), new Uint8Array(56).fill(0xab));
    const pseudo = v6 ? pseudoHeaderSum(reply, 18, 16, 58, reply.length - bodyAt) : 0;
    assert.ok(isIntact(addWords(pseudo, reply, bodyAt, reply.length)));
    assert.equal(rig.framesHeld, 0);
  });

  test(`ping to an address where nobody is: unreachable (${family})`, () => {
    const rig = new Rig({ v6, handlers: { echo: () => false } });
    const request = echoRequest(v6);
    rig.input(request.slice());
    const error = rig.frames.shift()!;
    assert.deepEqual(error.slice(bodyAt, bodyAt + 2), v6 ? Uint8Array.of(1, 3) : Uint8Array.of(3, 1));
    assert.deepEqual(error.slice(bodyAt + 8), request.slice(10), "the packet is quoted");
  });

  test(`UDP reaches its handler and is answered (${family})`, () => {
    const got: UdpDatagram[] = [];
    const rig = new Rig({ v6, handlers: { udp: (datagram) => got.push(kept(datagram)) > 0 } });
    rig.input(udp(v6, Uint8Array.of(1, 2, 3)));
    assert.deepEqual(got[0]!.payload, Uint8Array.of(1, 2, 3));
    assert.deepEqual(got[0]!.remote, { address: rig.remote, port: 12_345 });
    assert.deepEqual(got[0]!.local, { address: rig.local, port: 53 });
    got[0]!.reply(Uint8Array.of(9, 8, 7));
    const reply = rig.frames.shift()!;
    assert.deepEqual(reply.slice(bodyAt, bodyAt + 6), Uint8Array.of(0, 53, 0x30, 0x39, 0, 11));
    assert.deepEqual(reply.slice(bodyAt + 8), Uint8Array.of(9, 8, 7));
    const addressesAt = v6 ? 18 : 22;
    const pseudo = pseudoHeaderSum(reply, addressesAt, v6 ? 16 : 4, 17, 11);
    assert.ok(isIntact(addWords(pseudo, reply, bodyAt, reply.length)));
  });

  test(`a UDP super-segment is its datagrams, the last one short (USO, ${family})`, () => {
    const got: UdpDatagram[] = [];
    const rig = new Rig({ v6, handlers: { udp: (datagram) => got.push(kept(datagram)) > 0 } });
    const payload = Uint8Array.from({ length: 2500 }, (_, i) => i);
    const frame = udp(v6, payload, false);
    frame.set([1, 5, 0, 0, 1000 & 0xff, 1000 >> 8], 0); // NEEDS_CSUM, UDP_L4, gso_size
    rig.input(frame.slice());
    assert.deepEqual(
      got.map((datagram) => datagram.payload),
      [payload.slice(0, 1000), payload.slice(1000, 2000), payload.slice(2000)],
    );
    frame.set([1, 0], 4);
    rig.input(frame.slice());
    assert.equal(got.length, 3, "more pieces than any kernel makes");
    assert.equal(rig.counters.get("udp.pieces"), 1);
    const unwanted = new Rig({ v6 });
    frame.set([1000 & 0xff, 1000 >> 8], 4);
    unwanted.input(frame);
    assert.equal(unwanted.frames.length, 1, "one answer for all of them");
  });

  test(`UDP that nobody wants: port unreachable, at most 100 a second (${family})`, () => {
    const rig = new Rig({ v6 });
    for (let i = 0; i < 150; i++) rig.input(udp(v6, new Uint8Array(1400)));
    assert.equal(rig.frames.length, 100);
    assert.equal(rig.counters.get("icmp.rate-limited"), 50);
    const error = rig.frames[0]!;
    assert.deepEqual(error.slice(bodyAt, bodyAt + 2), v6 ? Uint8Array.of(1, 4) : Uint8Array.of(3, 3));
    assert.equal(error.length - 10, v6 ? 1280 : 576);
    rig.clock.advance(1000);
    rig.input(udp(v6, new Uint8Array(1)));
    assert.equal(rig.frames.length, 101);
  });

  test(`another protocol: unreachable (${family})`, () => {
    const rig = new Rig({ v6 });
    rig.input(ipFrame(rig.remote, rig.local, 132, new Uint8Array(20), undefined)); // SCTP
    const error = rig.frames.shift()!;
    assert.deepEqual(error.slice(bodyAt, bodyAt + 2), v6 ? Uint8Array.of(4, 1) : Uint8Array.of(3, 2));
    if (v6) assert.equal(error[bodyAt + 7], 6, "the pointer: next header");
  });

  test(`a wrong checksum is counted; where the device vouches for it, it is not looked at (${family})`, () => {
    const rig = new Rig({ v6 });
    for (const [flags, counted, attempts] of [
      [0, 1, 0],
      [1, 1, 1],
      [2, 1, 1],
    ] as const) {
      const frame = rig.frame({ flags: "S", seq: 5000 });
      frame[bodyAt + 16]! ^= 0x55;
      frame[0] = flags;
      rig.input(frame);
      assert.equal(rig.counters.get("tcp.checksum"), counted);
      assert.equal(rig.attempts.length, attempts);
    }
    const datagram = udp(v6, Uint8Array.of(1));
    datagram[bodyAt + 6]! ^= 0x55;
    rig.input(datagram);
    assert.equal(rig.counters.get("udp.checksum"), 1);
    rig.input(udp(v6, Uint8Array.of(1), false)); // none at all: IPv4 may, IPv6 may not
    assert.equal(rig.counters.get("udp.checksum"), v6 ? 2 : 1);
  });
}

test("strangers and other addresses are counted and get no answer", () => {
  const rig = new Rig({
    mayTalk: (source) => equal(source, CLIENT),
    isLocal: (address) => equal(address, SERVER),
  });
  rig.iss = 0;
  rig.send({ flags: "S", seq: 1 });
  assert.equal(rig.attempts.length, 1);
  rig.local = Uint8Array.of(100, 64, 0, 77);
  for (const flags of ["S", "A"]) rig.send({ flags, seq: 1 });
  assert.equal(rig.counters.get("ip.not-local"), 2);
  rig.local = SERVER;
  rig.remote = Uint8Array.of(192, 0, 2, 1);
  for (const flags of ["S", "A"]) rig.send({ flags, seq: 1 });
  rig.input(ipFrame(rig.remote, SERVER, 1, Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 0), 2));
  assert.equal(rig.counters.get("ip.source-refused"), 3);
  rig.expectNothing();
  assert.equal(rig.attempts.length, 1);
});

test("a whole packet with a fragment header is taken as such (RFC 6946)", () => {
  const rig = new Rig({ v6: true });
  const syn = rig.frame({ flags: "S", seq: 1 });
  const frame = concat(syn.slice(0, 50), fromHex("06 00 0000 00000001"), syn.slice(50));
  frame[15] = syn[15]! + 8;
  frame[16] = 44;
  rig.input(frame);
  assert.equal(rig.attempts.length, 1);
});

test("a datagram longer than an IP packet is dropped and counted", () => {
  const rig = new Rig();
  const local = { address: SERVER, port: 53 };
  const remote = { address: CLIENT, port: 1 };
  rig.stack.sendUdp(local, remote, new Uint8Array(65_507));
  assert.equal(rig.frames.length, 1);
  rig.stack.sendUdp(local, remote, new Uint8Array(65_508));
  assert.equal(rig.frames.length, 1);
  assert.equal(rig.counters.get("udp.too-long"), 1);
});
