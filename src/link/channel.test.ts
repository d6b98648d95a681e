import assert from "node:assert/strict";
import { test } from "node:test";
import { UNPOOLED } from "../base/mod.ts";
import type { Carrier, CarrierHandler } from "./carrier.ts";
import { Channel } from "./channel.ts";
import { CARRIER_OCTETS, CARRIER_WRITES, MAX_FRAME, SEGMENT_LEN } from "./limits.ts";
import { TestClock } from "./link-harness.ts";

/** A channel on a carrier that takes everything, and how often it was called worn. */
function setUp() {
  const state = { worn: 0, handler: undefined as CarrierHandler | undefined };
  const carrier: Carrier = {
    binding: new Uint8Array(32),
    writable: true,
    start: (handler) => {
      state.handler = handler;
    },
    write: () => {},
    close: () => {},
    destroy: () => {},
  };
  const channel = new Channel(carrier, new TestClock(), {
    frame: () => undefined,
    heard: () => {},
    writable: () => {},
    broken: () => assert.fail(),
    ended: () => {},
    worn: () => state.worn++,
  });
  return { channel, state };
}

test("a carrier is worn after so many octets, counted each way", () => {
  for (const direction of ["sent", "received"] as const) {
    const { channel, state } = setUp();
    const segment = new Uint8Array(SEGMENT_LEN);
    for (let at = 0; at < SEGMENT_LEN; at += MAX_FRAME) segment.set([0x3f, 0xf8, 0x84], at);
    const pass = (octets: Uint8Array) =>
      direction === "sent" ? channel.write(octets) : state.handler!.data(octets, UNPOOLED);
    for (let octets = 0; octets < CARRIER_OCTETS - SEGMENT_LEN; octets += SEGMENT_LEN) pass(segment);
    assert.equal(state.worn, 0, direction);
    pass(segment);
    pass(segment);
    assert.equal(state.worn, 1, `${direction}: told once`);
  }
});

test("a carrier is worn after so many writes, and after as many frames, of which each may be the peer's write", () => {
  for (const direction of ["sent", "received"] as const) {
    const { channel, state } = setUp();
    const ping = Uint8Array.of(0, 8, 0xc5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
    const pass = () => (direction === "sent" ? channel.write(ping) : state.handler!.data(ping, UNPOOLED));
    for (let writes = 0; writes < CARRIER_WRITES - 1; writes++) pass();
    assert.equal(state.worn, 0, direction);
    pass();
    assert.equal(state.worn, 1, direction);
  }
});
