import { createHash, randomFillSync } from "node:crypto";
import type { Socket } from "node:net";
import { type ByteStream, plainChunk } from "../../src/base/mod.ts";
import { wallMs } from "./decision-log.ts";

/** Longer than this without progress must be explained. */
const PAUSE_MS = 1_000;
/** Random octets are made once and changed a little for each piece, or making them would be all the work. */
const BLOCK_LEN = 256 * 1024;

/** What one end of a transfer has seen. */
export interface BulkResult {
  sent: string;
  received: string;
  receivedLen: number;
  /** "end", or how else it ended. */
  end: string;
  /** Times without anything received, milliseconds since 1970. */
  pauses: Span[];
  /** Times in which this process did not run. */
  standstills: Span[];
}

/** Milliseconds since 1970. */
export type Span = [startMs: number, endMs: number];

/** A timer that should come so often … */
const TICK_MS = 20;
/** … tells by coming so late that the process did not run. */
const STANDSTILL_MS = 100;

/** Notes the times in which this process does not run. */
class Watch {
  readonly standstills: Span[] = [];
  #lastMs = wallMs();
  readonly #timer = setInterval(() => {
    const now = wallMs();
    if (now - this.#lastMs > STANDSTILL_MS) this.standstills.push([this.#lastMs, now]);
    this.#lastMs = now;
  }, TICK_MS).unref();

  stop(): Span[] {
    clearInterval(this.#timer);
    return this.standstills;
  }
}

/** Pseudo-random octets that never repeat, and their hash. */
export class Source {
  readonly #hash = createHash("sha256");
  readonly #block = randomFillSync(Buffer.allocUnsafe(BLOCK_LEN));
  #left: number;
  #pieces = 0;

  constructor(octets: number) {
    this.#left = octets;
  }

  get left(): number {
    return this.#left;
  }

  /** The next piece, at most `limit` long: a copy. */
  next(limit: number): Buffer {
    const piece = Buffer.from(this.#block.subarray(0, Math.min(limit, this.#left, BLOCK_LEN)));
    // Each 4 KiB of it differs from all others.
    for (let at = 0; at + 6 <= piece.length; at += 4096) piece.writeUIntBE(this.#pieces++, at, 6);
    this.#left -= piece.length;
    this.#hash.update(piece);
    return piece;
  }

  digest(): string {
    return this.#hash.digest("hex");
  }
}

/** Hashes and times what comes. */
export class Sink {
  readonly #hash = createHash("sha256");
  readonly pauses: BulkResult["pauses"] = [];
  length = 0;
  #lastMs = wallMs();

  take(bytes: Uint8Array): void {
    this.progress();
    this.length += bytes.length;
    this.#hash.update(bytes);
  }

  progress(): void {
    const now = wallMs();
    if (now - this.#lastMs > PAUSE_MS) this.pauses.push([this.#lastMs, now]);
    this.#lastMs = now;
  }

  digest(): string {
    return this.#hash.digest("hex");
  }
}

/** The stack's side: sends `octets`, half-closes, and takes what comes. */
export function bulkStream(stream: ByteStream, octets: number, window: number): Promise<BulkResult> {
  const source = new Source(octets);
  const sink = new Sink();
  const watch = new Watch();
  return new Promise((resolve) => {
    let open = 2;
    const done = (end: string) => resolve(result(source, sink, watch, end));
    const ended = () => {
      if (--open === 0) done("end");
    };
    let closed = false;
    stream.open({
      data: (chunk) => {
        const { length } = chunk.bytes;
        sink.take(chunk.bytes);
        chunk.release();
        stream.credit(length);
      },
      end: () => {
        sink.progress();
        ended();
      },
      reset: done,
      writable: (allowance) => {
        for (let room = allowance; room > 0 && source.left > 0; ) {
          const piece = source.next(room);
          room -= piece.length;
          stream.write(plainChunk(piece));
        }
        if (source.left > 0 || closed) return;
        closed = true;
        stream.end();
        ended();
      },
    });
    stream.credit(window);
  });
}

/** The kernel's side; `socket` was made with `allowHalfOpen`. */
export function bulkSocket(socket: Socket, octets: number): Promise<BulkResult> {
  const source = new Source(octets);
  const sink = new Sink();
  const watch = new Watch();
  socket.on("data", (bytes: Buffer) => sink.take(bytes));
  socket.on("end", () => sink.progress());
  const pump = () => {
    while (source.left > 0) if (!socket.write(source.next(BLOCK_LEN))) return;
    socket.removeListener("drain", pump);
    socket.end();
  };
  socket.on("drain", pump);
  return new Promise((resolve) => {
    let end = "end";
    socket.on("error", (error: NodeJS.ErrnoException) => {
      end = error.code ?? error.message;
    });
    socket.on("close", () => resolve(result(source, sink, watch, end)));
    if (socket.connecting) {
      socket.once("connect", () => {
        sink.progress();
        pump();
      });
    } else pump();
  });
}

function result(source: Source, sink: Sink, watch: Watch, end: string): BulkResult {
  const { pauses, length } = sink;
  const hashes = { sent: source.digest(), received: sink.digest() };
  return { ...hashes, receivedLen: length, end, pauses, standstills: watch.stop() };
}
