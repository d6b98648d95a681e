import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat } from "../../src/base/mod.ts";
import type { UdpDatagram } from "../../src/net/stack/mod.ts";
import { limits } from "../../src/net/stack/mod.ts";
import { addWords, checksumOf, put16, put32, VIRTIO_HEADER_LEN } from "../../src/net/wire/mod.ts";
import { CLIENT, CLIENT6, ipFrame, kept, Rig, SERVER, SERVER6 } from "./rig.ts";

const AT = VIRTIO_HEADER_LEN;

/** A datagram's body with its checksum, as it stands in a whole packet. */
function udpFrame(v6: boolean, payload: Uint8Array): Uint8Array {
  const length = 8 + payload.length;
  const body = concat(Uint8Array.of(0x30, 0x39, 0, 53, length >> 8, length & 0xff, 0, 0), payload);
  return ipFrame(v6 ? CLIENT6 : CLIENT, v6 ? SERVER6 : SERVER, 17, body, 6);
}

/** The octets `[from, to)` of the body as a fragment. */
function fragment(whole: Uint8Array, v6: boolean, id: number, from: number, to: number, more: boolean): Uint8Array {
  const headerLen = v6 ? 40 : 20;
  const body = whole.slice(AT + headerLen + from, AT + headerLen + to);
  if (v6) {
    const header = Uint8Array.of(17, 0, 0, 0, 0, 0, 0, 0);
    put16(header, 2, from | (more ? 1 : 0));
    put32(header, 4, id);
    const frame = concat(whole.slice(0, AT + 40), header, body);
    put16(frame, AT + 4, 8 + body.length);
    frame[AT + 6] = 44;
    return frame;
  }
  const frame = concat(whole.slice(0, AT + 20), body);
  put16(frame, AT + 2, 20 + body.length);
  put16(frame, AT + 4, id);
  put16(frame, AT + 6, (more ? 0x2000 : 0) | (from >> 3));
  put16(frame, AT + 10, 0);
  put16(frame, AT + 10, checksumOf(addWords(0, frame, AT, AT + 20)));
  return frame;
}

function listener(v6: boolean): { rig: Rig; got: UdpDatagram[] } {
  const got: UdpDatagram[] = [];
  return { rig: new Rig({ v6, handlers: { udp: (datagram) => got.push(kept(datagram)) > 0 } }), got };
}

for (const v6 of [false, true]) {
  const family = v6 ? "IPv6" : "IPv4";
  const idOf = (i: number) => (v6 ? 0xfedc0000 + i : 0x4000 + i);

  test(`fragments in any order, some of them twice, are the datagram (${family})`, () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 249 }), { maxLength: 20 });
    fc.assert(
      fc.property(cuts, fc.integer({ min: 1, max: 2000 }), fc.infiniteStream(fc.nat(1000)), (at, length, dice) => {
        const { rig, got } = listener(v6);
        const payload = Uint8Array.from({ length }, (_, i) => (i * 7) & 0xff);
        const whole = udpFrame(v6, payload);
        const bodyLen = 8 + length;
        const edges = [0, ...at.map((cut) => cut * 8).filter((cut) => cut < bodyLen), bodyLen].sort((a, b) => a - b);
        const parts = edges.slice(1).map((to, i) => fragment(whole, v6, idOf(1), edges[i]!, to, to !== bodyLen));
        if (parts.length === 1) return;
        const order = parts.map((part) => ({ part, key: dice.next().value }));
        order.push(...order.slice(0, -1).filter(() => dice.next().value! % 4 === 0));
        order.sort((a, b) => a.key! - b.key!);
        for (const { part } of order) rig.input(part.slice());
        assert.ok(got.length >= 1);
        assert.deepEqual(got[0]!.payload, payload);
        assert.equal(rig.framesHeld, 0);
      }),
      { numRuns: 100 },
    );
  });

  test(`a TCP segment may come in fragments, and its checksum is verified (${family})`, () => {
    const rig = new Rig({ v6 });
    const syn = rig.frame({ flags: "S", seq: 5000, mss: 1400 });
    const tcp = (id: number, damage: number) => {
      const whole = syn.slice();
      whole[whole.length - 1]! ^= damage;
      for (const [from, to] of [
        [16, 24],
        [0, 16],
      ] as const) {
        const part = fragment(whole, v6, id, from, to, to !== 24);
        if (v6) part[AT + 40] = 6;
        rig.input(part);
      }
    };
    tcp(idOf(1), 1);
    assert.deepEqual([rig.attempts.length, rig.counters.get("tcp.checksum")], [0, 1]);
    tcp(idOf(2), 0);
    assert.equal(rig.attempts.length, 1);
  });

  test(`an overlap spoils the whole datagram, what comes later too (RFC 5722, ${family})`, () => {
    const { rig, got } = listener(v6);
    const whole = udpFrame(v6, new Uint8Array(40));
    const part = (from: number, to: number) => rig.input(fragment(whole, v6, idOf(1), from, to, to !== 48));
    part(0, 16);
    part(8, 24);
    for (const [from, to] of [
      [0, 16],
      [16, 32],
      [32, 48],
    ] as const) {
      part(from, to);
    }
    assert.equal(got.length, 0);
    assert.equal(rig.counters.get("ip.fragment-refused"), 4);
    rig.input(fragment(whole, v6, idOf(2), 0, 16, true));
    rig.input(fragment(whole, v6, idOf(2), 16, 48, false));
    assert.equal(got.length, 1);
  });

  test(`two ends, text behind the end, an odd length and more than 65,535 octets are refused (${family})`, () => {
    const { rig, got } = listener(v6);
    const whole = udpFrame(v6, new Uint8Array(40));
    let id = 0;
    let refused = 0;
    for (const [first, second] of [
      [fragment(whole, v6, idOf(++id), 8, 16, false), fragment(whole, v6, idOf(id), 16, 24, false)],
      [fragment(whole, v6, idOf(++id), 8, 16, false), fragment(whole, v6, idOf(id), 16, 24, true)],
      [fragment(whole, v6, idOf(++id), 16, 24, true), fragment(whole, v6, idOf(id), 8, 16, false)],
      [fragment(whole, v6, idOf(++id), 0, 16, true), fragment(whole, v6, idOf(id), 16, 27, true)],
    ] as const) {
      rig.input(first);
      rig.input(second);
      assert.equal(rig.counters.get("ip.fragment-refused"), ++refused);
    }
    const far = fragment(whole, v6, idOf(++id), 0, 48, false);
    if (v6) put16(far, AT + 42, 0xfff8);
    else {
      put16(far, AT + 6, 0x1fff);
      put16(far, AT + 10, 0);
      put16(far, AT + 10, checksumOf(addWords(0, far, AT, AT + 20)));
    }
    rig.input(far);
    assert.equal(rig.counters.get("ip.fragment-refused"), refused + 1);
    assert.equal(got.length, 0);
  });

  test(`after a minute the sender is told, if the first fragment had come (${family})`, () => {
    const { rig } = listener(v6);
    const whole = udpFrame(v6, new Uint8Array(40));
    rig.input(fragment(whole, v6, idOf(1), 0, 16, true));
    rig.input(fragment(whole, v6, idOf(2), 16, 48, false));
    rig.clock.advance(59_999);
    assert.equal(rig.frames.length, 0);
    rig.clock.advance(1);
    assert.equal(rig.counters.get("ip.fragment-timeout"), 2);
    assert.equal(rig.frames.length, 1);
    const bodyAt = v6 ? 50 : 30;
    assert.deepEqual([...rig.frames[0]!.slice(bodyAt, bodyAt + 2)], v6 ? [3, 1] : [11, 1]);
    assert.equal(rig.clock.pending, 0);
  });

  test(`a flood of fragments stays within its limits, and lets others pass (${family})`, () => {
    const { rig, got } = listener(v6);
    const whole = udpFrame(v6, new Uint8Array(60_000));
    for (let i = 0; i < 500; i++) rig.input(fragment(whole, v6, idOf(i), 0, 40_000, true));
    for (let at = 0; at < 3000; at += 8) rig.input(fragment(whole, v6, idOf(1000), at, at + 8, true));
    assert.ok(rig.counters.get("ip.fragment-refused") >= 375 - limits.FRAGMENTS_PER_DATAGRAM);
    rig.input(fragment(whole, v6, idOf(2000), 32_000, 60_008, false));
    rig.input(fragment(whole, v6, idOf(2000), 0, 32_000, true));
    assert.equal(got.length, 1);
    rig.clock.advance(60_000);
    assert.ok(rig.counters.get("ip.fragment-timeout") <= limits.FRAGMENT_OCTETS / 40_000 + 1);
    assert.equal(rig.clock.pending, 0);
  });
}

test("no more datagrams wait than the table has, however small", () => {
  const { rig } = listener(false);
  const whole = udpFrame(false, new Uint8Array(40));
  for (let i = 0; i < 500; i++) rig.input(fragment(whole, false, i, 0, 16, true));
  rig.clock.advance(60_000);
  assert.equal(rig.counters.get("ip.fragment-timeout"), limits.FRAGMENTED_DATAGRAMS);
});

test("fragments of strangers are not kept", () => {
  const rig = new Rig({ mayTalk: () => false });
  rig.input(fragment(udpFrame(false, new Uint8Array(40)), false, 1, 0, 16, true));
  assert.equal(rig.counters.get("ip.source-refused"), 1);
  assert.equal(rig.clock.pending, 0);
});
