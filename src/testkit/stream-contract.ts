import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { ByteStream, Chunk, ResetReason } from "../base/mod.ts";

/** Two ends of one stream, both not yet opened. */
export interface StreamEnds {
  a: ByteStream;
  b: ByteStream;
  /** Ends what the pair rests on. */
  close?: () => void | Promise<void>;
}

/** How long a pair may take for what must happen. */
const PATIENCE_MS = 4_000;
/** Turns in which what must not happen would have happened. */
const QUIET_TURNS = 20;

/**
 * The tests that every pair of `ByteStream`s must pass, whatever it is made of
 * (`base/stream.ts` states the rules).
 */
export function streamContract(name: string, makePair: () => Promise<StreamEnds>): void {
  describe(`${name}: byte-stream contract`, () => {
    for (const [rule, prove] of RULES) {
      test(rule, async () => {
        const pair = await makePair();
        try {
          await prove(pair);
        } finally {
          await pair.close?.();
        }
      });
    }
  });
}

/** A consumer that notes what happens to it. It grants and writes only when told. */
class Tap {
  readonly stream: ByteStream;
  readonly parts: Uint8Array[] = [];
  receivedLen = 0;
  granted = 0;
  allowance = 0;
  ends = 0;
  resets: ResetReason[] = [];
  calls = 0;
  /** Chunks that are kept: nothing is released by itself. */
  held: Chunk[] | undefined;
  /** Called for each piece of data, after it was noted. */
  onData: ((length: number) => void) | undefined;
  onWritable: (() => void) | undefined;

  constructor(stream: ByteStream) {
    this.stream = stream;
    let opening = true;
    const called = () => {
      assert.ok(!opening, "the handler was called from within open");
      this.calls++;
    };
    stream.open({
      data: (chunk) => {
        called();
        assert.ok(chunk.bytes.length > 0, "an empty chunk");
        assert.equal(this.ends, 0, "data after end");
        this.receivedLen += chunk.bytes.length;
        assert.ok(this.receivedLen <= this.granted, `${this.receivedLen} delivered, ${this.granted} granted`);
        this.parts.push(chunk.bytes.slice());
        if (this.held === undefined) chunk.release();
        else this.held.push(chunk);
        this.onData?.(chunk.bytes.length);
      },
      end: () => {
        called();
        this.ends++;
      },
      reset: (reason) => {
        called();
        this.resets.push(reason);
      },
      writable: (octets) => {
        called();
        assert.ok(octets > 0, "an empty allowance");
        this.allowance += octets;
        this.onWritable?.();
      },
    });
    opening = false;
  }

  credit(octets: number): void {
    this.granted += octets;
    this.stream.credit(octets);
  }

  /** Grants again what was read, so that `window` octets may always be under way. */
  readAll(window = 256 * 1024): void {
    this.onData = (length) => this.credit(length);
    this.credit(window);
  }

  get text(): string {
    return Buffer.concat(this.parts).toString();
  }

  /** Writes what the allowance must suffice for. */
  async write(text: string): Promise<Written> {
    const bytes = Buffer.from(text);
    await until(() => this.allowance >= bytes.length, "allowance to write");
    return this.put(bytes);
  }

  put(bytes: Uint8Array): Written {
    this.allowance -= bytes.length;
    const written = { releases: 0 };
    const copy = Uint8Array.from(bytes);
    this.stream.write({
      bytes: copy,
      release: () => {
        written.releases++;
        copy.fill(0xdd); // the memory has a new owner now
      },
    });
    return written;
  }

  /** Writes everything as the allowance comes, in pieces of varied length, and half-closes. */
  pour(bytes: Uint8Array): void {
    let at = 0;
    let length = 1;
    const more = () => {
      while (at < bytes.length && this.allowance > 0) {
        const part = bytes.subarray(at, at + Math.min(length, this.allowance));
        length = (length * 7) % 50_021;
        at += part.length;
        this.put(part);
      }
      if (at < bytes.length) return;
      this.onWritable = undefined;
      this.stream.end();
    };
    this.onWritable = more;
    more();
  }
}

interface Written {
  releases: number;
}

type Rule = [string, (pair: StreamEnds) => Promise<void>];

const RULES: Rule[] = [
  [
    "nothing is delivered without credit, and never more than was granted",
    async (pair) => {
      const [a, b] = [new Tap(pair.a), new Tap(pair.b)];
      await a.write("abcdefghij");
      await quiet();
      assert.equal(b.receivedLen, 0);
      b.credit(1);
      await until(() => b.receivedLen === 1, "1 octet");
      b.credit(3);
      await until(() => b.receivedLen === 4, "4 octets");
      await quiet();
      assert.equal(b.receivedLen, 4);
      b.credit(100);
      await until(() => b.text === "abcdefghij", "the rest");
    },
  ],
  [
    "credit granted before open's consequences counts, and from within data, too",
    async (pair) => {
      const [a, b] = [new Tap(pair.a), new Tap(pair.b)];
      b.onData = () => b.credit(1);
      b.credit(1);
      await a.write("one by one");
      await until(() => b.text === "one by one", "all octets");
    },
  ],
  [
    "a writer is stopped by a reader who does not read, and goes on when he does",
    async (pair) => {
      const [a, b] = [new Tap(pair.a), new Tap(pair.b)];
      let written = 0;
      a.onWritable = () => {
        while (a.allowance > 0) {
          const length = Math.min(a.allowance, 60_000);
          a.put(new Uint8Array(length));
          written += length;
          assert.ok(written < 64 * 1024 * 1024, "a writer without bound");
        }
      };
      await until(() => written > 0, "a first allowance");
      await quiet();
      const stoppedAt = written;
      b.readAll();
      await until(() => b.receivedLen > stoppedAt && written > stoppedAt, "more");
      a.onWritable = undefined;
      a.stream.reset("shutdown");
    },
  ],
  [
    "many octets cross both ways at once, in order",
    async (pair) => {
      const [a, b] = [new Tap(pair.a), new Tap(pair.b)];
      const [fromA, fromB] = [randomBytes(700_001), randomBytes(500_003)];
      a.readAll();
      b.readAll(30_000);
      a.pour(fromA);
      b.pour(fromB);
      await until(() => a.ends === 1 && b.ends === 1, "both ends");
      assert.equal(sha256(b.parts), sha256([fromA]));
      assert.equal(sha256(a.parts), sha256([fromB]));
      assert.deepEqual([...a.resets, ...b.resets], []);
    },
  ],
  [
    "half-close: end comes after every octet, and the other direction lives on",
    async (pair) => {
      const [a, b] = [new Tap(pair.a), new Tap(pair.b)];
      a.readAll();
      await a.write("last words");
      a.stream.end();
      await quiet();
      assert.equal(b.ends, 0, "end before the octets");
      b.credit(4);
      await until(() => b.receivedLen === 4, "4 octets");
      await quiet();
      assert.equal(b.ends, 0, "end before the last octets");
      b.readAll();
      await until(() => b.ends === 1, "end");
      assert.equal(b.text, "last words");
      await b.write("an answer");
      await until(() => a.text === "an answer", "the answer");
      assert.equal(a.ends, 0);
      b.stream.end();
      await until(() => a.ends === 1, "the other end");
      assert.deepEqual([a.ends, b.ends, ...a.resets, ...b.resets], [1, 1]);
    },
  ],
  [
    "an end without octets needs no credit",
    async (pair) => {
      const [a, b] = [new Tap(pair.a), new Tap(pair.b)];
      a.stream.end();
      await until(() => b.ends === 1, "end");
      b.stream.end();
      await until(() => a.ends === 1, "the other end");
    },
  ],
  [
    "after both ends nothing more happens, and methods do nothing",
    async (pair) => {
      const [a, b] = [new Tap(pair.a), new Tap(pair.b)];
      a.stream.end();
      b.stream.end();
      await until(() => a.ends === 1 && b.ends === 1, "both ends");
      const calls = a.calls + b.calls;
      a.credit(10);
      a.stream.reset("shutdown");
      b.stream.end();
      const late = b.put(Buffer.from("too late"));
      await quiet();
      assert.equal(late.releases, 1);
      assert.equal(a.calls + b.calls, calls);
    },
  ],
  [
    "reset ends both directions for the peer; the one who called is not told",
    async (pair) => {
      const [a, b] = [new Tap(pair.a), new Tap(pair.b)];
      a.readAll();
      b.readAll();
      await b.write("hello");
      await until(() => a.text === "hello", "hello");
      const calls = a.calls;
      a.stream.reset("unreachable");
      await until(() => b.resets.length === 1, "reset");
      await quiet();
      assert.equal(a.calls, calls);
      const callsB = b.calls;
      b.stream.end();
      b.stream.reset("shutdown");
      b.credit(1);
      assert.equal(b.put(Buffer.from("x")).releases, 1, "a chunk written after reset is released");
      assert.equal(a.put(Buffer.from("x")).releases, 1);
      await quiet();
      assert.equal(b.calls, callsB);
      assert.equal(b.resets.length, 1);
    },
  ],
  [
    "reset after a half-close still reaches the peer",
    async (pair) => {
      const [a, b] = [new Tap(pair.a), new Tap(pair.b)];
      b.readAll();
      a.stream.end();
      await until(() => b.ends === 1, "end");
      a.stream.reset("unreachable");
      await until(() => b.resets.length === 1, "reset");
    },
  ],
  [
    "a chunk does not change until it is released",
    async (pair) => {
      const [a, b] = [new Tap(pair.a), new Tap(pair.b)];
      b.held = [];
      b.readAll();
      const octets = randomBytes(150_000);
      a.pour(octets);
      await until(() => b.ends === 1, "end");
      assert.equal(sha256(b.held.map((chunk) => chunk.bytes)), sha256([octets]));
      for (const chunk of b.held) chunk.release();
    },
  ],
  [
    "a written chunk is released exactly once, when it was sent",
    async (pair) => {
      const [a, b] = [new Tap(pair.a), new Tap(pair.b)];
      b.readAll();
      const written: Written[] = [];
      for (let i = 0; i < 50; i++) written.push(await a.write("chunk ".repeat(1 + i * 20)));
      a.stream.end();
      b.stream.end();
      await until(() => written.every((w) => w.releases > 0), "all releases");
      await quiet();
      assert.ok(written.every((w) => w.releases === 1));
      assert.equal(b.receivedLen, (50 + 20 * 1225) * 6);
    },
  ],
  [
    "a chunk that is not sent any more is released by the reset, once",
    async (pair) => {
      const [a, b] = [new Tap(pair.a), new Tap(pair.b)];
      const written = [await a.write("never read"), await a.write("x".repeat(5000))];
      await quiet();
      a.stream.reset("shutdown");
      await until(() => b.resets.length === 1, "reset");
      await until(() => written.every((w) => w.releases > 0), "releases");
      assert.ok(written.every((w) => w.releases === 1));
    },
  ],
];

async function until(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > end) assert.fail(`waited in vain for: ${what}`);
    await turn();
  }
}

async function quiet(): Promise<void> {
  for (let i = 0; i < QUIET_TURNS; i++) await turn();
}

function sha256(parts: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}
