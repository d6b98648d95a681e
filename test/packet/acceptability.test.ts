import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./rig.ts";

const IRS = 5000;
const NXT = IRS + 1;

/** RFC 9293 §3.10.7.4, table 6: word for word, number by number. */
function acceptable(seqno: number, length: number, wnd: number): boolean {
  const inWindow = (number: number) => number >= NXT && number < NXT + wnd;
  if (length === 0) return wnd === 0 ? seqno === NXT : inWindow(seqno);
  return wnd > 0 && (inWindow(seqno) || inWindow(seqno + length - 1));
}

/** A connection whose window is `wnd`, with nothing received beyond RCV.NXT. */
async function withWindow(wnd: number): Promise<{ rig: Rig; nxt: number }> {
  const rig = new Rig();
  const irs = wnd === 0 ? IRS - 65_535 : IRS - (65_535 - wnd);
  await rig.establish({ irs }).ready();
  const filling = new Uint8Array(65_535 - wnd);
  for (let at = 0; at < filling.length; at += 60_000) {
    rig.send({ flags: "A", seq: irs + 1 + at, ack: 1, text: filling.subarray(at, at + 60_000) });
  }
  rig.frames.length = 0;
  return { rig, nxt: NXT };
}

test("the four rows of the acceptability test (RFC 9293 §3.4, table 1)", async () => {
  for (const wnd of [0, 4]) {
    for (const length of [0, 1, 3]) {
      for (let offset = -4; offset <= 6; offset++) {
        // One behind the window stands a pure ACK whose text has filled it: answered or not, it changes nothing.
        if (length === 0 && offset === wnd && wnd > 0) continue;
        const { rig } = await withWindow(wnd);
        // RFC 5961 §3.2: in the window a RST is answered or obeyed, outside of it ignored.
        const seqno = NXT + offset;
        const before = rig.stack.connections;
        if (length === 0) {
          rig.send({ flags: "R", seq: seqno });
          const seen = rig.frames.length > 0 || rig.stack.connections < before;
          assert.equal(seen, acceptable(seqno, 0, wnd), `RST at ${offset}, window ${wnd}`);
          continue;
        }
        const text = new Uint8Array(length);
        rig.send({ flags: "A", seq: seqno, ack: 1, text });
        const { ack } = rig.expect({ flags: "A" }); // every one of them has an answer
        const covered = offset <= 0 && offset + length > 0 && wnd > 0;
        const advanced = covered ? Math.min(offset + length, wnd) : 0;
        assert.equal(ack, NXT + advanced, `text ${offset}+${length}, window ${wnd}`);
        if (!acceptable(seqno, length, wnd)) assert.equal(advanced, 0);
      }
    }
  }
});

test("of a segment outside of the window nothing counts, its ACK neither", async () => {
  const rig = new Rig();
  const app = await rig.establish().ready();
  app.write("x");
  rig.expect({ text: "x" });
  rig.send({ flags: "A", seq: NXT + 70_000, ack: 2, text: "from elsewhere" });
  rig.expect({ flags: "A", ack: NXT });
  rig.clock.advance(200);
  rig.expect({ text: "x" });
});

test("with the window closed an ACK and a RST still count (RFC 9293 §3.10.7.4, MUST-66)", async () => {
  const { rig } = await withWindow(0);
  rig.send({ flags: "R", seq: NXT });
  assert.equal(rig.stack.connections, 0);
});

test("the urgent pointer is ignored and its text delivered in line (RFC 9293 §3.8.5, RFC 6093 §6)", async () => {
  const rig = new Rig();
  const app = await rig.establish().ready();
  app.stream.credit(100);
  for (const pointer of [0, 1, 5, 0xffff]) {
    const frame = rig.frame({ flags: "PA", seq: NXT + app.received.length, ack: 1, text: "urgent" });
    frame[30 + 13]! |= 0x20;
    const sum = (frame[30 + 16]! << 8) | frame[30 + 17]!;
    frame.set([pointer >> 8, pointer & 0xff], 30 + 18);
    // The checksum covers both changes (RFC 1624 §3).
    let fixed = (~sum & 0xffff) + 0x20 + pointer;
    fixed = (fixed & 0xffff) + (fixed >> 16);
    frame.set([(~fixed >> 8) & 0xff, ~fixed & 0xff], 30 + 16);
    rig.input(frame);
    rig.stack.drained();
  }
  assert.equal(rig.counters.get("tcp.checksum"), 0);
  assert.equal(app.text, "urgent".repeat(4));
});
