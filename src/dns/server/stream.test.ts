import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ByteStream,
  type Clock,
  concat,
  plainChunk,
  type ResetReason,
  type StreamHandler,
} from "../../base/mod.ts";
import { framed } from "./asking.ts";
import { MAX_PIPELINED, MAX_STREAM_QUERY_LEN, STREAM_IDLE_MS } from "./limits.ts";
import { serveDnsStream } from "./stream.ts";

/** The client's end of a stream, with what the server did to it. */
class FakeStream implements ByteStream {
  handler!: StreamHandler;
  credits = 0;
  written: Uint8Array = new Uint8Array(0);
  ended = false;
  resetReason: ResetReason | undefined;

  open(handler: StreamHandler) {
    this.handler = handler;
  }
  credit(octets: number) {
    this.credits += octets;
  }
  write(chunk: { bytes: Uint8Array; release(): void }) {
    this.written = concat(this.written, chunk.bytes);
    chunk.release();
  }
  end() {
    this.ended = true;
  }
  reset(reason: ResetReason) {
    this.resetReason = reason;
  }
  send(bytes: Uint8Array) {
    assert.ok(bytes.length <= this.credits, "beyond the credit");
    this.credits -= bytes.length;
    this.handler.data(plainChunk(bytes));
  }
}

type Handle = (query: Uint8Array) => Promise<Uint8Array | undefined>;

function serve(handle: Handle) {
  const stream = new FakeStream();
  let idle = () => {};
  let idleMs = 0;
  let closed = 0;
  let timers = 0;
  const clock: Clock = {
    now: () => 0,
    wallMs: () => 0,
    after(delayMs, run) {
      idleMs = delayMs;
      idle = run;
      timers++;
      return { cancel: () => {} };
    },
  };
  serveDnsStream(stream, { handle, clock, closed: () => closed++ });
  return { stream, passIdleTime: () => idle(), idleMs: () => idleMs, closed: () => closed, timers: () => timers };
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
const echo: Handle = (query) => Promise.resolve(Uint8Array.from(query, (octet) => octet ^ 0xff));

test("queries in any pieces are answered within the allowance; then the client's end is answered by ours", async () => {
  const { stream, closed } = serve(echo);
  const queries = [Uint8Array.of(1, 2, 3), Uint8Array.of(4), new Uint8Array(MAX_STREAM_QUERY_LEN).fill(5)];
  for (const octet of concat(...queries.map(framed))) stream.send(Uint8Array.of(octet));
  stream.handler.end();
  await settle();
  assert.equal(stream.written.length, 0);
  const expected = concat(...queries.map((query) => framed(query.map((octet) => octet ^ 0xff))));
  for (let i = 0; i < expected.length; i += 7) {
    assert.equal(stream.ended, false);
    stream.handler.writable(Math.min(7, expected.length - i));
  }
  assert.deepEqual(stream.written, expected);
  assert.deepEqual([stream.ended, closed()], [true, 1]);
});

test("a client that reads nothing is not read either, and loses nothing", async () => {
  const { stream } = serve(echo);
  const query = framed(new Uint8Array(100));
  let sent = 0;
  while (stream.credits >= query.length) {
    stream.send(query);
    sent++;
    assert.ok(sent < 1_000, "credit without end");
  }
  assert.ok(sent >= MAX_PIPELINED);
  for (let i = 0; i < sent; i++) {
    stream.handler.writable(query.length);
    await settle();
  }
  assert.equal(stream.written.length, sent * query.length);
});

test("what cannot be a query, and silence, end the connection", async () => {
  const tooLong = serve(echo);
  tooLong.stream.send(Uint8Array.of((MAX_STREAM_QUERY_LEN + 1) >> 8, (MAX_STREAM_QUERY_LEN + 1) & 0xff));
  assert.deepEqual([tooLong.stream.resetReason, tooLong.closed()], ["protocol", 1]);

  const garbage = serve(() => Promise.resolve(undefined));
  garbage.stream.send(framed(Uint8Array.of(1)));
  await settle();
  assert.deepEqual([garbage.stream.resetReason, garbage.closed()], ["protocol", 1]);

  const silent = serve(echo);
  assert.equal(silent.idleMs(), STREAM_IDLE_MS);
  silent.passIdleTime();
  assert.deepEqual([silent.stream.resetReason, silent.closed()], ["timeout", 1]);
});

test("a reset while an answer is due is the end", async () => {
  const { stream, closed, timers } = serve(echo);
  stream.handler.writable(100);
  stream.send(framed(Uint8Array.of(1)));
  stream.handler.reset("peer");
  const before = timers();
  await settle();
  assert.deepEqual([stream.written.length, closed(), timers()], [0, 1, before]);
});
