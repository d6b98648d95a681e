import assert from "node:assert/strict";
import { test } from "node:test";
import { type ByteStream, Counters, plainChunk, silentLogger } from "../base/mod.ts";
import { Link } from "./link.ts";
import { TestClock } from "./link-harness.ts";
import { type PacedPath, pacedCarrierPair } from "./paced-carrier.ts";

const CHATTY = 500;
const REQUEST_LEN = 32;
const EVERY_MS = 200;
const RUN_MS = 3_000;
const BULK_PORT = 7;

/** From a fast local network to a home's line. */
const PATHS: Record<string, PacedPath> = {
  "1 Gbit/s, 1 ms": { octetsPerMs: 125_000, latencyMs: 1, highWaterMark: 256 * 1024 },
  "100 Mbit/s, 10 ms": { octetsPerMs: 12_500, latencyMs: 10, highWaterMark: 256 * 1024 },
  "50 Mbit/s, 40 ms": { octetsPerMs: 6_250, latencyMs: 40, highWaterMark: 256 * 1024 },
};

for (const [name, path] of Object.entries(PATHS)) {
  for (const direction of ["down", "up"] as const) {
    test(`500 chatty streams beside a bulk one (${direction}, ${name}): p99 at most five times that without it`, async (t) => {
      const alone = await chat(path, undefined);
      const beside = await chat(path, direction);
      const share = beside.bulkOctets / (path.octetsPerMs * RUN_MS);
      t.diagnostic(
        `p99 ${alone.p99} ms alone, ${beside.p99} ms beside; the bulk stream had ${share.toFixed(2)} of the path`,
      );
      assert.ok(beside.answers > (CHATTY * RUN_MS) / EVERY_MS / 2, `${beside.answers} answers`);
      // The clock's steps are 1 ms: below that nothing is told apart.
      assert.ok(beside.p99 <= 5 * Math.max(alone.p99, 2), `${beside.p99} ms, alone ${alone.p99} ms`);
      assert.ok(share > 0.5, `the bulk stream has ${share} of the path`);
    });
  }
}

/** Every chatty stream asks now and then and is answered; one bulk stream runs, or none. */
async function chat(path: PacedPath, bulk: "up" | "down" | undefined) {
  const clock = new TestClock();
  const [near, far] = pacedCarrierPair(clock, path);
  const options = { clock, counters: new Counters(), log: silentLogger, instance: new Uint8Array(8) };
  let bulkOctets = 0;
  const count = (octets: number) => {
    bulkOctets += octets;
  };
  Link.server(far, {
    ...options,
    onOpen: (request) => {
      const stream = request.accept();
      if (request.port !== BULK_PORT) answer(stream);
      else if (bulk === "down") pour(stream);
      else drink(stream, count);
    },
  });
  const client = Link.client(near, options);
  const streams = await opened(
    clock,
    client,
    Array.from({ length: CHATTY }, () => 1),
  );
  const times: number[] = [];
  for (const [i, stream] of streams.entries()) ask(stream, clock, (i * EVERY_MS) / CHATTY, times);
  if (bulk !== undefined) {
    const [stream] = await opened(clock, client, [BULK_PORT]);
    if (bulk === "up") pour(stream!);
    else drink(stream!, count);
    await clock.advance(500, 1); // The windows grow.
    times.length = 0;
    bulkOctets = 0;
  }
  await clock.advance(RUN_MS, 1);
  times.sort((a, b) => a - b);
  return { p99: Math.round(times[Math.floor(times.length * 0.99)]!), answers: times.length, bulkOctets };
}

async function opened(clock: TestClock, client: Link, ports: number[]): Promise<ByteStream[]> {
  const opening = Promise.all(ports.map((port) => client.open(port)));
  await clock.advance(500, 5);
  return opening;
}

/** One request at a time, each after its answer and its time. */
function ask(stream: ByteStream, clock: TestClock, delayMs: number, times: number[]): void {
  let sentAt = 0;
  let left = 0;
  const send = () => {
    sentAt = clock.now();
    left = REQUEST_LEN;
    stream.write(plainChunk(new Uint8Array(REQUEST_LEN)));
  };
  stream.open({
    data(chunk) {
      left -= chunk.bytes.length;
      stream.credit(chunk.bytes.length);
      chunk.release();
      if (left > 0) return;
      times.push(clock.now() - sentAt);
      clock.after(EVERY_MS, send);
    },
    end: () => {},
    reset: () => {},
    writable: () => {
      if (sentAt === 0) clock.after(delayMs, send);
    },
  });
  stream.credit(64 * 1024);
}

function answer(stream: ByteStream): void {
  stream.open({
    data: (chunk) => stream.write(chunk),
    end: () => {},
    reset: () => {},
    writable: (n) => stream.credit(n),
  });
}

/** As much as is taken. */
function pour(stream: ByteStream): void {
  const piece = new Uint8Array(64 * 1024);
  stream.open({
    data: () => {},
    end: () => {},
    reset: () => {},
    writable(octets) {
      for (let left = octets; left > 0; left -= piece.length) {
        stream.write(plainChunk(piece.subarray(0, Math.min(left, piece.length))));
      }
    },
  });
}

function drink(stream: ByteStream, count: (octets: number) => void): void {
  stream.open({
    data(chunk) {
      count(chunk.bytes.length);
      stream.credit(chunk.bytes.length);
      chunk.release();
    },
    end: () => {},
    reset: () => {},
    writable: () => {},
  });
  stream.credit(1024 * 1024);
}
