import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isMalformed, type Malformed, UNPOOLED } from "../base/mod.ts";
import { decodeFrame, encodeFrame, type Frame, TYPE, writeDataHeader } from "./frames.ts";
import { HEADER_LEN, MAX_PAYLOAD, MAX_TEXT } from "./limits.ts";
import { FrameReader } from "./reader.ts";

const FRAMES: Frame[] = [
  { type: "open", stream: 1, port: 5432, window: 262_144 },
  { type: "opened", stream: 0xffff_ffff, window: 2048 },
  { type: "refused", stream: 7, code: "connection-refused", text: "nobody listens on 5432" },
  { type: "window", stream: 7, offset: 2 ** 40 + 5 },
  { type: "fin", stream: 7, offset: 0 },
  { type: "reset", stream: 7, reason: "session-ended" },
  {
    type: "hello",
    minVersion: 1,
    maxVersion: 2,
    features: 0x8000_0001,
    instance: new Uint8Array(8).fill(9),
    resumeMs: 0xffff_ffff,
    transports: 4,
  },
  {
    type: "attach",
    link: new Uint8Array(16).fill(1),
    transport: 3,
    generation: 0xffff_ffff,
    received: 2 ** 40 + 7,
    proof: new Uint8Array(32).fill(2),
  },
  { type: "attached", received: 2 ** 52, proof: new Uint8Array(32).fill(3) },
  { type: "link-gone" },
  { type: "ack", received: Number.MAX_SAFE_INTEGER },
  { type: "ping", id: 3 },
  { type: "pong", id: 3 },
  { type: "goaway", code: "drain", text: "" },
];

/** What a reader makes of `bytes`, pushed in pieces that end at `cuts`. */
function read(bytes: Uint8Array, cuts: number[] = []): Array<Frame | undefined> | Malformed {
  const frames: Array<Frame | undefined> = [];
  const reader = new FrameReader((type, stream, payload) => {
    const frame = decodeFrame(type, stream, new Uint8Array(payload));
    if (frame && isMalformed(frame)) return frame;
    frames.push(frame);
    return undefined;
  });
  let at = 0;
  for (const cut of [...cuts, bytes.length]) {
    const bad = reader.push(bytes.subarray(at, cut), UNPOOLED);
    if (bad) return bad;
    at = cut;
  }
  return frames;
}

const stream = Buffer.concat(FRAMES.map(encodeFrame));

test("every frame survives the wire", () => {
  assert.deepEqual(read(stream), FRAMES);
});

test("frames are the same however the octets are cut", () => {
  for (let cut = 0; cut <= stream.length; cut++) assert.deepEqual(read(stream, [cut]), FRAMES, `cut at ${cut}`);
  const single = Array.from({ length: stream.length }, (_, i) => i);
  assert.deepEqual(read(stream, single), FRAMES);
});

test("every truncated payload is malformed", () => {
  for (const frame of FRAMES) {
    const bytes = encodeFrame(frame);
    const least = frame.type === "refused" || frame.type === "goaway" ? 2 : bytes.length - HEADER_LEN;
    for (let length = 0; length < least; length++) {
      const got = decodeFrame(bytes[2]!, 1, bytes.subarray(HEADER_LEN, HEADER_LEN + length));
      assert.ok(got && isMalformed(got), `${frame.type} with ${length} octets`);
    }
  }
});

test("what the header must not say", () => {
  const long = encodeFrame({ type: "ping", id: 1 });
  long[0] = 0xff;
  assert.deepEqual(read(long), { malformed: "link.frame-length" });
  const flags = encodeFrame({ type: "ping", id: 1 });
  flags[3] = 1;
  assert.deepEqual(read(flags), { malformed: "link.header" });
  const onStream = encodeFrame({ type: "ping", id: 1 });
  onStream[7] = 1;
  assert.deepEqual(read(onStream), { malformed: "link.frame-stream" });
  const onNone = encodeFrame({ type: "fin", stream: 1, offset: 1 });
  onNone[7] = 0;
  assert.deepEqual(read(onNone), { malformed: "link.frame-stream" });
  const beyond = encodeFrame({ type: "fin", stream: 1, offset: 1 });
  beyond[HEADER_LEN + 1] = 0x20; // 2^53
  assert.deepEqual(read(beyond), { malformed: "link.offset" });
});

test("an unknown frame is skipped unless it must be understood", () => {
  const bytes = encodeFrame({ type: "ping", id: 1 });
  bytes[2] = 0x3f;
  assert.deepEqual(read(bytes), [undefined]);
  bytes[2] = 0xbf;
  assert.deepEqual(read(bytes), { malformed: "link.unknown-frame" });
});

test("a text is cut to its limit between characters", () => {
  const text = "€".repeat(MAX_TEXT);
  const got = read(encodeFrame({ type: "goaway", code: "internal", text }));
  assert.deepEqual(got, [{ type: "goaway", code: "internal", text: "€".repeat(Math.floor(MAX_TEXT / 3)) }]);
});

test("a full DATA frame is one TLS record", () => {
  const frame = new Uint8Array(HEADER_LEN + MAX_PAYLOAD);
  writeDataHeader(frame, 0, 0x01020304, MAX_PAYLOAD);
  assert.equal(frame.length, 16_384);
  assert.deepEqual([...frame.subarray(0, HEADER_LEN)], [0x3f, 0xf8, TYPE.DATA, 0, 1, 2, 3, 4]);
});

test("random octets never throw and never make the reader hold more than a frame", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 20 }), (pieces) => {
      const reader = new FrameReader((type, id, payload) => {
        const frame = decodeFrame(type, id, payload);
        return frame && isMalformed(frame) ? frame : undefined;
      });
      for (const piece of pieces) if (reader.push(piece, UNPOOLED)) break;
    }),
  );
});
