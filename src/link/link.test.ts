import assert from "node:assert/strict";
import { test } from "node:test";
import { type ByteStream, plainChunk, type ResetReason, seededRandom } from "../base/mod.ts";
import {
  LinkClosedError,
  LinkDrainingError,
  LinkLimitError,
  LinkOpenTimeoutError,
  LinkRefusedError,
} from "./errors.ts";
import { encodeFrame, type Frame, writeDataHeader } from "./frames.ts";
import { HEADER_LEN, LINK_BUDGET, MAX_STREAMS, MAX_UNANSWERED_OPENS } from "./limits.ts";
import { Link } from "./link.ts";
import { echo, linkPair, RawPeer, Talker, TestClock, turns } from "./link-harness.ts";
import type { OpenRequest } from "./options.ts";

const MIB = 1024 * 1024;

test("32 streams at once echo their octets, over a carrier that cuts at random", async () => {
  const random = seededRandom(7);
  const { client } = linkPair({
    onOpen: (request) => echo(request.accept()),
    carrier: { pieceLen: () => 1 + ((random(1)[0]! * 257) % 30_000) },
  });
  const talkers = await Promise.all(
    Array.from(
      { length: 32 },
      async (_, i) => new Talker(await client.open(1000 + i), { total: 100_000 + i * 10_000 }),
    ),
  );
  for (const [i, talker] of talkers.entries()) {
    assert.deepEqual(await talker.done, {});
    assert.equal(talker.received, 100_000 + i * 10_000);
    assert.equal(talker.hashIn, talker.hashOut);
  }
  await turns();
  assert.equal(client.streams, 0);
});

test("a reader that stalls stops its own stream only, and goes on later", async () => {
  const totals = new Map<number, number>([
    [1, 8 * MIB],
    [2, 4 * MIB],
  ]);
  const sent: Talker[] = [];
  const { client } = linkPair({
    onOpen: (request) => sent.push(new Talker(request.accept(), { total: totals.get(request.port)! })),
  });
  const stalledStream = await client.open(1);
  const stalled = new Talker(stalledStream, { credit: 0 });
  const busy = new Talker(await client.open(2));
  assert.deepEqual(await busy.done, {});
  assert.equal(busy.received, 4 * MIB);
  assert.equal(stalled.received, 0);
  // What it has been able to send ahead is its window and what its own end holds.
  assert.ok(sent[0]!.sent < 1 * MIB, `${sent[0]!.sent} octets ahead`);
  stalledStream.credit(1000);
  await turns();
  assert.equal(stalled.received, 1000);
  stalledStream.credit(Number.MAX_SAFE_INTEGER / 2);
  assert.deepEqual(await stalled.done, {});
  assert.equal(stalled.hashIn, sent[0]!.hashOut);
});

test("half-close: the answer comes after the question's end", async () => {
  const { client } = linkPair({
    onOpen: (request) => {
      const stream = request.accept();
      let question = 0;
      stream.credit(Number.MAX_SAFE_INTEGER / 2);
      stream.open({
        data: (chunk) => {
          question += chunk.bytes.length;
        },
        end: () => {
          stream.write(plainChunk(Buffer.from(`${question} octets`)));
          stream.end();
        },
        reset: () => assert.fail(),
        writable: () => {},
      });
    },
  });
  const talker = new Talker(await client.open(1), { total: 300_000 });
  assert.deepEqual(await talker.done, {});
  assert.equal(talker.received, "300000 octets".length);
  await turns();
  assert.equal(client.streams, 0);
});

for (const side of ["client", "server"] as const) {
  test(`a reset by the ${side} reaches the other end with its reason`, async () => {
    const accepted = Promise.withResolvers<ByteStream>();
    const { client, server } = linkPair({ onOpen: (request) => accepted.resolve(request.accept()) });
    const near = await client.open(1);
    const far = await accepted.promise;
    const [mine, other] = side === "client" ? [near, far] : [far, near];
    const told: ResetReason[] = [];
    const handler = (name: string) => ({
      data: () => assert.fail(name),
      end: () => assert.fail(name),
      reset: (reason: ResetReason) => void told.push(reason),
      writable: () => {},
    });
    mine.open({ ...handler("mine"), reset: () => assert.fail("the resetting side is not told") });
    other.open(handler("other"));
    await turns();
    mine.reset("timeout");
    await turns();
    assert.deepEqual(told, ["timeout"]);
    assert.deepEqual([client.streams, server.streams], [0, 0]);
  });
}

test("a reset before the consumer is attached is told after it is", async () => {
  const { client, server } = linkPair({ onOpen: (request) => request.accept() });
  const stream = await client.open(1);
  server.close("session-ended", "logged out");
  await client.closed;
  const reason = await new Promise((resolve) =>
    stream.open({
      data: () => assert.fail(),
      end: () => assert.fail(),
      writable: () => assert.fail(),
      reset: resolve,
    }),
  );
  assert.equal(reason, "session-ended");
});

test("a refused OPEN tells why", async () => {
  const { client, server } = linkPair({
    onOpen: (request) => request.refuse("port", "port 23 is not one of the app's"),
  });
  await assert.rejects(client.open(23), (error) => {
    assert.ok(error instanceof LinkRefusedError);
    assert.equal(error.refusal, "port");
    assert.equal(error.message, "port 23 is not one of the app's");
    return true;
  });
  await turns();
  assert.deepEqual([client.streams, server.streams], [0, 0]);
});

test("giving up an OPEN aborts the dial at the other end", async () => {
  const requests: OpenRequest[] = [];
  const { client, server } = linkPair({ onOpen: (request) => requests.push(request) });
  const abort = new AbortController();
  const opening = client.open(1, { signal: abort.signal });
  await turns();
  abort.abort(new Error("psql was killed"));
  await assert.rejects(opening, /psql was killed/);
  await turns();
  assert.equal(requests[0]!.aborted.aborted, true);
  assert.deepEqual([client.streams, server.streams], [0, 0]);
  const late = requests[0]!.accept(); // The dial ended after all: nothing happens.
  late.reset("peer");
  await turns();
  assert.equal(client.ended, false);
});

test("an OPEN without an answer times out", async () => {
  const clock = new TestClock();
  const { client } = linkPair({ onOpen: () => {}, clock });
  const opening = assert.rejects(client.open(1), LinkOpenTimeoutError);
  await clock.advance(5_100);
  await opening;
  assert.equal(client.streams, 0);
});

test("a silent path is noticed within 10 s, and its streams are reset as unreachable", async () => {
  const clock = new TestClock();
  const { client, clientCarrier, serverCarrier } = linkPair({ onOpen: (request) => request.accept(), clock });
  const opening = client.open(1);
  await clock.advance(100);
  const talker = new Talker(await opening);
  await clock.advance(60_000); // Idle, but the PINGs are answered.
  assert.equal(client.ended, false);
  clientCarrier.silent = true;
  serverCarrier.silent = true;
  await clock.advance(10_000);
  assert.deepEqual(await talker.done, { reset: "unreachable" });
  assert.equal((await client.closed).closeCode, "dead");
  await assert.rejects(client.open(2), LinkClosedError);
});

test("the carrier's end resets the streams and aborts the dials", async () => {
  const requests: OpenRequest[] = [];
  const { client, server, clientCarrier } = linkPair({
    onOpen: (request) => (request.port === 1 ? request.accept() : requests.push(request)),
  });
  const talker = new Talker(await client.open(1));
  const opening = assert.rejects(client.open(2), LinkClosedError);
  await turns();
  clientCarrier.destroy();
  assert.deepEqual(await talker.done, { reset: "unreachable" });
  await opening;
  assert.equal((await server.closed).closeCode, "carrier");
  assert.equal(requests[0]!.aborted.aborted, true);
});

test("draining: open streams finish, new ones are refused, then the link ends", async () => {
  const { client, server } = linkPair({ onOpen: (request) => echo(request.accept()) });
  const stream = await client.open(1);
  let told = 0;
  client.onDraining(() => told++);
  server.drain();
  await turns();
  assert.equal(told, 1);
  await assert.rejects(client.open(2), LinkDrainingError);
  const talker = new Talker(stream, { total: 200_000 });
  assert.deepEqual(await talker.done, {});
  assert.equal(talker.hashIn, talker.hashOut);
  assert.equal((await client.closed).closeCode, "done");
  assert.equal((await server.closed).closeCode, "done");
});

test("an OPEN that crosses the GOAWAY is refused as draining", async () => {
  const { client, server } = linkPair({ onOpen: (request) => request.accept() });
  await client.open(1);
  const crossing = client.open(2);
  server.drain();
  await assert.rejects(crossing, (error) => error instanceof LinkRefusedError && error.refusal === "draining");
});

test("without a common version both ends say so", async () => {
  const peer = RawPeer.ofClient();
  peer.send({
    type: "hello",
    minVersion: 9,
    maxVersion: 12,
    features: 0,
    instance: new Uint8Array(8),
    resumeMs: 0,
    transports: 1,
  });
  const text = "no common link version: one side speaks 9 to 12, the other 1 to 1; update the older";
  await assert.rejects(peer.link.ready, { closeCode: "version", message: text });
  await turns();
  assert.ok(peer.heardFrame({ type: "goaway", code: "version", text }));
});

test("limits: streams and unanswered OPENs", async () => {
  const { client } = linkPair({ onOpen: () => {} });
  const opens = Array.from({ length: MAX_UNANSWERED_OPENS }, () => client.open(1).catch(() => {}));
  await assert.rejects(client.open(1), LinkLimitError);
  client.close("shutdown");
  await Promise.all(opens);

  const full = linkPair({ onOpen: (request) => request.accept() });
  for (let i = 0; i < MAX_STREAMS / 512; i++) {
    await Promise.all(Array.from({ length: 512 }, () => full.client.open(1)));
  }
  await assert.rejects(full.client.open(1), LinkLimitError);
  full.client.close("shutdown");
});

// ---- a hostile peer

function data(stream: number, length: number): Uint8Array {
  const out = new Uint8Array(HEADER_LEN + length);
  writeDataHeader(out, 0, stream, length);
  return out;
}

const HELLO: Frame = {
  type: "hello",
  minVersion: 1,
  maxVersion: 1,
  features: 0,
  instance: new Uint8Array(8),
  resumeMs: 0,
  transports: 1,
};
const ATTACH: Frame = {
  type: "attach",
  link: new Uint8Array(16),
  transport: 0,
  generation: 1,
  received: 0,
  proof: new Uint8Array(32),
};
const OPEN: Frame = { type: "open", stream: 5, port: 1, window: 1000 };

const BREACHES: Array<[reason: string, frames: Array<Frame | Uint8Array>]> = [
  ["link.second-hello", [HELLO]],
  ["link.unknown-stream", [{ type: "fin", stream: 9, offset: 0 }]],
  ["link.unknown-stream", [data(9, 1)]],
  ["link.unknown-stream", [data(0, 1)]],
  ["link.stream-order", [OPEN, OPEN]],
  ["link.stream-order", [OPEN, { ...OPEN, stream: 4 }]],
  ["link.unanswered", [OPEN, data(5, 1)]],
  ["link.unanswered", [OPEN, { type: "window", stream: 5, offset: 5000 }]],
  ["link.ack", [{ type: "ack", received: 1 }]],
  ["link.out-of-place", [ATTACH]],
  ["link.out-of-place", [{ type: "attached", received: 0, proof: new Uint8Array(32) }]],
  ["link.out-of-place", [{ type: "link-gone" }]],
  ["link.unknown-stream", [{ type: "opened", stream: 5, window: 1 }]],
  ["link.second-answer", [OPEN, { type: "opened", stream: 5, window: 1 }]],
  ["link.frame-length", [new Uint8Array(64).fill(0xff)]],
  ["link.unknown-frame", [Uint8Array.from([0, 0, 0xff, 0, 0, 0, 0, 0])]],
  ["link.open-flood", Array.from({ length: MAX_UNANSWERED_OPENS + 1 }, (_, i): Frame => ({ ...OPEN, stream: i + 1 }))],
];

for (const [reason, frames] of BREACHES) {
  test(`breach: ${reason} after ${frames.length} frames ends the link`, async () => {
    const peer = RawPeer.ofServer(() => {});
    peer.send(HELLO, ...frames);
    assert.equal((await peer.link.closed).closeCode, "protocol");
    assert.deepEqual(peer.counters.snapshot(), { [reason]: 1 });
    await turns();
    assert.ok(peer.heardFrame({ type: "goaway", code: "protocol", text: `protocol violation: ${reason}` }));
  });
}

test("breach: frames before HELLO", async () => {
  const peer = RawPeer.ofClient();
  peer.send({ type: "opened", stream: 1, window: 5 });
  assert.equal((await peer.link.closed).closeCode, "protocol");
  assert.deepEqual(peer.counters.snapshot(), { "link.no-hello": 1 });
});

const BREACHES_OF_STREAMS: Array<[reason: string, frames: Array<Frame | Uint8Array>]> = [
  ["link.credit", Array.from({ length: 80 }, () => data(5, 16_000))],
  ["link.data-after-fin", [{ type: "fin", stream: 5, offset: 0 }, data(5, 1)]],
  [
    "link.window-back",
    [
      { type: "window", stream: 5, offset: 2000 },
      { type: "window", stream: 5, offset: 1999 },
    ],
  ],
  ["link.empty-data", [data(5, 0)]],
];

for (const [reason, frames] of BREACHES_OF_STREAMS) {
  test(`breach on an open stream: ${reason} ends the link`, async () => {
    const peer = RawPeer.ofServer((request) => request.accept());
    peer.send(HELLO, OPEN);
    await turns();
    assert.equal(peer.link.streams, 1);
    peer.send(...frames);
    assert.equal((await peer.link.closed).closeCode, "protocol");
    assert.deepEqual(peer.counters.snapshot(), { [reason]: 1 });
  });
}

test("a FIN that does not match its octets resets the stream on both sides and nothing else", async () => {
  const accepted: ByteStream[] = [];
  const peer = RawPeer.ofServer((request) => accepted.push(request.accept()));
  peer.send(HELLO, OPEN);
  await turns();
  const talker = new Talker(accepted[0]!, { total: 10_000_000 });
  peer.send(data(5, 100), { type: "fin", stream: 5, offset: 101 });
  assert.deepEqual(await talker.done, { reset: "protocol" });
  await turns();
  assert.deepEqual(peer.counters.snapshot(), { "link.fin-offset": 1 });
  assert.deepEqual([peer.link.ended, peer.link.streams], [false, 0]);
  assert.ok(peer.heardFrame({ type: "reset", stream: 5, reason: "protocol" }));
  peer.link.close("shutdown");
});

test("a peer that reads but never acknowledges gets a bounded amount", async () => {
  const accepted: ByteStream[] = [];
  const peer = RawPeer.ofServer((request) => accepted.push(request.accept()));
  peer.send(HELLO, { ...OPEN, window: 0xffff_ffff });
  await turns();
  const talker = new Talker(accepted[0]!, { total: 64 * MIB });
  await turns(40);
  assert.ok(peer.heard.length < MIB, `${peer.heard.length} octets sent`);
  assert.ok(talker.sent < 2 * MIB, `${talker.sent} octets taken`);
  peer.link.close("shutdown");
});

test("a flood of PINGs whose answers nobody reads costs one answer", async () => {
  const peer = RawPeer.ofServer(() => {});
  peer.send(HELLO);
  await turns();
  const before = peer.heard.length;
  Object.defineProperty(peer.carrier, "writable", { value: false, configurable: true });
  for (let id = 1; id <= 1000; id++) peer.send({ type: "ping", id });
  await turns();
  assert.equal(peer.heard.length, before);
  Object.defineProperty(peer.carrier, "writable", { value: true });
  peer.send({ type: "ping", id: 1001 });
  await turns();
  assert.deepEqual(peer.heard.subarray(before), Buffer.from(encodeFrame({ type: "pong", id: 1001 })));
  peer.link.close("shutdown");
});

test("random octets after HELLO end the link without a throw", async () => {
  const seed = Date.now() & 0xffff;
  const random = seededRandom(seed);
  for (let i = 0; i < 40; i++) {
    const peer = RawPeer.ofServer(() => {});
    peer.send(HELLO);
    for (let j = 0; j < 10; j++) peer.send(random(5000)); // Some wait for a frame of up to 16 KiB.
    await turns();
    assert.ok(peer.link.ended, `seed ${seed}, round ${i}`);
  }
});

// ---- numbers on the wire

test("every numbered frame is acknowledged, at the latest after 20 ms", async () => {
  const clock = new TestClock();
  const { client, serverCarrier, clientCarrier } = linkPair({ onOpen: (request) => request.accept(), clock });
  await clock.advance(100);
  clientCarrier.recorded = [];
  serverCarrier.recorded = [];
  const opening = client.open(1);
  await clock.advance(10, 1);
  const stream = await opening;
  // The answer carried the acknowledgement of OPEN; that of OPENED waits for its time.
  const openAck = Buffer.from(encodeFrame({ type: "ack", received: 1 }));
  assert.ok(Buffer.concat(serverCarrier.recorded).includes(openAck));
  assert.ok(!Buffer.concat(clientCarrier.recorded).includes(openAck));
  await clock.advance(20, 1);
  assert.ok(Buffer.concat(clientCarrier.recorded).includes(openAck));
  stream.reset("peer");
});

test("all credit given out stays within the budget, with every stream open", async () => {
  const { client, clientCarrier } = linkPair({ onOpen: (request) => request.accept() });
  clientCarrier.recorded = [];
  for (let i = 0; i < MAX_STREAMS / 512; i++) await Promise.all(Array.from({ length: 512 }, () => client.open(1)));
  let granted = 0;
  const sent = Buffer.concat(clientCarrier.recorded);
  for (let at = 0; at < sent.length; at += HEADER_LEN + sent.readUInt16BE(at)) {
    if (sent[at + 2] === 0x81) granted += sent.readUInt32BE(at + HEADER_LEN + 2);
  }
  assert.ok(granted <= LINK_BUDGET, `${granted} octets`);
  assert.ok(granted > LINK_BUDGET / 2, `${granted} octets`);
  client.close("shutdown");
});

test("a link needs an instance id of 8 octets", () => {
  const pair = linkPair({ onOpen: () => {} });
  assert.throws(() => Link.client(pair.clientCarrier, { ...pair.options, instance: new Uint8Array(7) }));
});
