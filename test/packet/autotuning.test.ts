import assert from "node:assert/strict";
import { test } from "node:test";
import { type Application, Rig } from "./rig.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

async function established(rttMs: number): Promise<{ rig: Rig; app: Application }> {
  const rig = new Rig();
  const app = await rig.establish({ windowScale: 7, rttMs }).ready();
  return { rig, app };
}

/** Sends `octets` from `seqno` on and returns the window after them. */
function stream(rig: Rig, seqno: number, octets: number): number {
  for (let at = 0; at < octets; at += 32 * KIB) {
    rig.input(rig.frame({ flags: "A", seq: seqno + at, ack: 1, text: new Uint8Array(32 * KIB) }));
  }
  rig.stack.drained();
  let wnd = 0;
  while (rig.frames.length > 0) wnd = rig.expect({ flags: "A" }).wnd;
  return wnd * 256;
}

test("a generous credit is not announced before the peer can fill it; then it doubles up to 8 MiB", async () => {
  const { rig, app } = await established(10);
  app.stream.credit(64 * MIB);
  assert.equal(rig.expect({ flags: "A" }).wnd * 256, 512 * KIB);
  let seqno = 5001;
  let window = 512 * KIB;
  for (let round = 0; round < 6; round++) {
    const octets = window;
    const next = stream(rig, seqno, octets);
    seqno += octets;
    assert.ok(next > window || next === 8 * MIB, `${next} after ${window}`);
    window = next;
    rig.clock.advance(10);
  }
  assert.equal(window, 8 * MIB);
});

test("a slow peer's window does not grow", async () => {
  const { rig, app } = await established(10);
  app.stream.credit(64 * MIB);
  let seqno = 5001;
  for (let i = 0; i < 100; i++) {
    assert.ok(stream(rig, seqno, 32 * KIB) <= 512 * KIB);
    seqno += 32 * KIB;
    rig.clock.advance(10);
  }
});

test("the credit stays the truth: no more is announced, however fast the peer", async () => {
  const { rig, app } = await established(10);
  app.stream.credit(MIB);
  let left = MIB;
  let seqno = 5001;
  for (let i = 0; i < 3; i++) {
    const window = stream(rig, seqno, 256 * KIB);
    seqno += 256 * KIB;
    left -= 256 * KIB;
    assert.ok(window <= left + 256, `${window} > ${left}`);
  }
});
