/**
 * Many live connections whose every octet is checked, both ways at once:
 *   live-streams.ts serve ADDRESS PORT
 *   live-streams.ts run NAME PORT COUNT
 * `run` says `live` once octets flow on all of them and then takes lines:
 * `fault` (the time from which resets are counted), `check` (answered by
 * `flowing` once all that live have had new octets), `stop` (ends all and
 * prints a `Result` as JSON).
 */
import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";

export interface Result {
  readonly streams: number;
  /** Ended by FIN, everything counted and compared at both ends. */
  readonly whole: number;
  readonly reset: number;
  /** From the fault to the last reset, ms. */
  readonly resetMs: number;
  /** Neither: silent at the end. */
  readonly hung: number;
  /** Octets that were not what they had to be; always 0. */
  readonly wrong: number;
  /** Longest time without an octet on any stream, ms. */
  readonly pauseMs: number;
  /** Received by the client. */
  readonly octets: number;
}

/** A prime length, so that no loss or repetition of whole buffers goes unseen. */
const BLOCK = pseudoRandom(65_521);
const TWICE = Buffer.concat([BLOCK, BLOCK]);
const PIECE_LEN = 1_024;
/** Between two pieces, and at least this for each stream: many of them must not fill a small machine. */
const EVERY_MS = 100;
const EVERY_MS_PER_STREAM = 4;
/** What a client says first: its seed, and the time between two pieces. */
const HEADER_LEN = 8;
/** What the server says after its pattern: how many octets it has had. */
const TRAILER_LEN = 8;
const END_MS = 60_000;

function pseudoRandom(length: number): Buffer {
  let state = 0x9e3779b9;
  return Buffer.from(
    Uint8Array.from({ length }, () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return state;
    }),
  );
}

/** The octets of one direction of one stream. */
function pattern(seed: number, at: number, length: number): Buffer {
  const from = (seed * 7_919 + at) % BLOCK.length;
  return TWICE.subarray(from, from + length);
}

function isPattern(seed: number, at: number, bytes: Buffer): boolean {
  for (let done = 0; done < bytes.length; ) {
    const piece = bytes.subarray(done, done + BLOCK.length);
    if (!pattern(seed, at + done, piece.length).equals(piece)) return false;
    done += piece.length;
  }
  return true;
}

/** Writes its pattern a little at a time; a peer that does not read is waited for. */
class Source {
  sent = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(socket: Socket, seed: number, everyMs: number) {
    this.#timer = setInterval(() => {
      if (socket.writableLength > 0) return;
      socket.write(pattern(seed, this.sent, PIECE_LEN));
      this.sent += PIECE_LEN;
    }, everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

function serve(address: string, port: number): void {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    let seed: number | undefined;
    let source: Source | undefined;
    let received = 0;
    socket.on("data", (bytes: Buffer) => {
      let rest = bytes;
      if (seed === undefined) {
        seed = bytes.readUInt32BE(0);
        rest = bytes.subarray(HEADER_LEN);
        source = new Source(socket, seed + 1, bytes.readUInt32BE(4));
      }
      // A wrong octet is answered by a reset: the client's count shows it.
      if (!isPattern(seed, received, rest)) socket.resetAndDestroy();
      received += rest.length;
    });
    socket.on("end", () => {
      source?.stop();
      const trailer = Buffer.alloc(TRAILER_LEN);
      trailer.writeDoubleBE(received);
      socket.end(trailer);
    });
    socket.on("close", () => source?.stop());
    socket.on("error", () => {});
  });
  server.listen(port, address, () => console.log(`ready ${(server.address() as AddressInfo).port}`));
}

class Stream {
  received = 0;
  wrong = 0;
  resetAt: number | undefined;
  whole = false;
  over = false;
  pauseMs = 0;
  #heardAt = performance.now();
  readonly #socket: Socket;
  readonly #seed: number;
  readonly #source: Source;
  /** May hold the trailer. */
  #tail = Buffer.alloc(0);

  constructor(host: string, port: number, seed: number, everyMs: number) {
    this.#seed = seed;
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    this.#socket = socket;
    const header = Buffer.alloc(HEADER_LEN);
    header.writeUInt32BE(seed, 0);
    header.writeUInt32BE(everyMs, 4);
    socket.write(header);
    this.#source = new Source(socket, seed, everyMs);
    socket.on("data", (bytes: Buffer) => this.#onData(bytes));
    socket.on("end", () => this.#onEnd());
    socket.on("error", () => {
      this.resetAt ??= performance.now();
    });
    socket.on("close", () => {
      this.over = true;
      this.#source.stop();
    });
  }

  stop(): void {
    this.#source.stop();
    this.#socket.end();
  }

  #onData(bytes: Buffer): void {
    const now = performance.now();
    this.pauseMs = Math.max(this.pauseMs, now - this.#heardAt);
    this.#heardAt = now;
    const all = Buffer.concat([this.#tail, bytes]);
    const settled = all.subarray(0, Math.max(0, all.length - TRAILER_LEN));
    if (!isPattern(this.#seed + 1, this.received, settled)) this.wrong += settled.length;
    this.received += settled.length;
    this.#tail = Buffer.from(all.subarray(settled.length));
  }

  #onEnd(): void {
    const counted = this.#tail.length === TRAILER_LEN ? this.#tail.readDoubleBE() : -1;
    this.whole = counted === this.#source.sent && this.wrong === 0;
    this.over = true;
    this.#socket.destroy();
  }
}

async function run(host: string, port: number, count: number): Promise<void> {
  const everyMs = Math.max(EVERY_MS, count * EVERY_MS_PER_STREAM);
  const streams = Array.from({ length: count }, (_, i) => new Stream(host, port, i * 2 + 1, everyMs));
  let faultAt = performance.now();
  const moved = async (what: string, timeoutMs: number) => {
    const before = streams.map(({ received }) => received);
    const deadline = performance.now() + timeoutMs;
    const still = () => streams.filter((each, i) => !each.over && each.received <= before[i]!);
    while (still().length > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
    console.log(still().length === 0 ? what : `${what}: ${still().length} are silent`);
  };
  await moved("begun", 60_000);
  const failed = streams.filter(({ over }) => over).length;
  console.log(failed === 0 ? "live" : `live: ${failed} could not be made`);
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "fault") faultAt = performance.now();
    if (line === "check") await moved("flowing", 90_000);
    if (line === "stop") break;
  }
  for (const stream of streams) stream.stop();
  const deadline = performance.now() + END_MS;
  while (streams.some(({ over }) => !over) && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const resets = streams.flatMap(({ resetAt }) => (resetAt === undefined ? [] : [resetAt - faultAt]));
  const result: Result = {
    streams: count,
    whole: streams.filter(({ whole }) => whole).length,
    reset: resets.length,
    resetMs: Math.round(Math.max(0, ...resets)),
    hung: streams.filter(({ over }) => !over).length,
    wrong: streams.reduce((sum, { wrong }) => sum + wrong, 0),
    pauseMs: Math.round(Math.max(...streams.map(({ pauseMs }) => pauseMs))),
    octets: streams.reduce((sum, { received }) => sum + received, 0),
  };
  console.log(JSON.stringify(result));
  process.exit();
}

if (process.argv[1] === import.meta.filename) {
  const [mode, host = "", port = "", count = ""] = process.argv.slice(2);
  assert(mode === "serve" || mode === "run");
  if (mode === "serve") serve(host, Number(port));
  else await run(host, Number(port), Number(count));
}
