import { type ByteStream, concat, plainChunk, type ResetReason } from "../base/mod.ts";

/** How a stream or the peer's half of it ended. */
export type StreamEnd = "end" | ResetReason;

export interface StreamUserOptions {
  /** Octets that the peer may be ahead of us. */
  window?: number;
  /** Called for all that arrives. */
  onData?: (bytes: Uint8Array) => void;
}

/** An application at one end of a stream: reads everything, writes what it is told. */
export class StreamUser {
  readonly stream: ByteStream;
  /** `"end"` when both directions have ended; else why the stream was reset. */
  readonly closed: Promise<StreamEnd>;
  /** The peer has half-closed, or the stream was reset. */
  readonly peerEnded: Promise<StreamEnd>;
  readonly #closed = Promise.withResolvers<StreamEnd>();
  readonly #peerEnded = Promise.withResolvers<StreamEnd>();
  readonly #outbox: Uint8Array[] = [];
  #received: Uint8Array[] = [];
  #receivedLen = 0;
  #allowance = 0;
  #own: "open" | "ending" | "ended" = "open";
  #peerDone = false;
  #waiters: { length: number; resolve: () => void }[] = [];

  constructor(stream: ByteStream, options: StreamUserOptions = {}) {
    this.stream = stream;
    this.closed = this.#closed.promise;
    this.peerEnded = this.#peerEnded.promise;
    stream.open({
      data: (chunk) => {
        const bytes = chunk.bytes.slice();
        chunk.release();
        this.#take(bytes);
        options.onData?.(bytes);
        stream.credit(bytes.length);
      },
      end: () => {
        this.#peerDone = true;
        this.#peerEnded.resolve("end");
        if (this.#own === "ended") this.#closed.resolve("end");
      },
      reset: (reason) => {
        this.#peerEnded.resolve(reason);
        this.#closed.resolve(reason);
      },
      writable: (octets) => {
        this.#allowance += octets;
        this.#flush();
      },
    });
    stream.credit(options.window ?? 256 * 1024);
  }

  /** All octets received so far. */
  get received(): Uint8Array {
    const all = concat(...this.#received);
    this.#received = [all];
    return all;
  }

  /** Resolves with what was received as soon as that is `length` octets or more. */
  async until(length: number): Promise<Uint8Array> {
    if (this.#receivedLen < length) {
      await new Promise<void>((resolve) => this.#waiters.push({ length, resolve }));
    }
    return this.received;
  }

  send(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#outbox.push(bytes);
    this.#flush();
  }

  /** Half-closes after everything that was sent. */
  end(): void {
    if (this.#own === "open") this.#own = "ending";
    this.#flush();
  }

  reset(reason: ResetReason = "peer"): void {
    this.stream.reset(reason);
    this.#closed.resolve(reason);
  }

  #take(bytes: Uint8Array): void {
    this.#received.push(bytes);
    this.#receivedLen += bytes.length;
    this.#waiters = this.#waiters.filter(({ length, resolve }) => {
      if (this.#receivedLen >= length) resolve();
      return this.#receivedLen < length;
    });
  }

  #flush(): void {
    while (this.#allowance > 0 && this.#outbox.length > 0) {
      const first = this.#outbox[0]!;
      const part = first.subarray(0, this.#allowance);
      if (part.length === first.length) this.#outbox.shift();
      else this.#outbox[0] = first.subarray(part.length);
      this.#allowance -= part.length;
      this.stream.write(plainChunk(part));
    }
    if (this.#own !== "ending" || this.#outbox.length > 0) return;
    this.#own = "ended";
    this.stream.end();
    if (this.#peerDone) this.#closed.resolve("end");
  }
}
