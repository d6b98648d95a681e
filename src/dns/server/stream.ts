import { type ByteStream, type Chunk, type Clock, concat, plainChunk, type Timer } from "../../base/mod.ts";
import { framed } from "./asking.ts";
import { MAX_PIPELINED, MAX_STREAM_QUERY_LEN, STREAM_IDLE_MS } from "./limits.ts";
import type { Reply } from "./server.ts";

export interface DnsStreamOptions {
  handle(query: Uint8Array): Reply | Promise<Reply>;
  clock: Clock;
  /** Called once, when the stream has ended either way. */
  closed(): void;
}

/**
 * Serves queries on one connection (RFC 7766): answers go out as they are ready,
 * in any order; the connection ends when the client's side has, on silence, or on
 * a message that cannot be a query. Buffers one query, and `MAX_PIPELINED` answers.
 */
export function serveDnsStream(stream: ByteStream, options: DnsStreamOptions): void {
  const server = new DnsStream(stream, options);
  stream.open(server);
  server.begin();
}

class DnsStream {
  readonly #stream: ByteStream;
  readonly #options: DnsStreamOptions;
  #idle: Timer | undefined;
  /** Received octets that are not a whole query yet. With what is granted never more than one longest query. */
  #received: Uint8Array = new Uint8Array(0);
  readonly #outbox: Uint8Array[] = [];
  #allowance = 0; // octets
  #unanswered = 0;
  #peerEnded = false;
  #closed = false;

  constructor(stream: ByteStream, options: DnsStreamOptions) {
    this.#stream = stream;
    this.#options = options;
  }

  begin(): void {
    this.#stream.credit(2 + MAX_STREAM_QUERY_LEN);
    this.#touch();
  }

  data(chunk: Chunk): void {
    this.#received = concat(this.#received, chunk.bytes);
    chunk.release();
    this.#touch();
    this.#take();
  }

  end(): void {
    this.#peerEnded = true;
    this.#endWhenDone();
  }

  reset(): void {
    this.#close();
  }

  writable(octets: number): void {
    this.#allowance += octets;
    this.#flush();
  }

  /** Starts as many whole queries as may be under way. */
  #take(): void {
    while (!this.#closed && this.#received.length >= 2 && this.#unanswered + this.#outbox.length < MAX_PIPELINED) {
      const length = (this.#received[0]! << 8) | this.#received[1]!;
      if (length > MAX_STREAM_QUERY_LEN) {
        this.#abandon("protocol");
        return;
      }
      if (this.#received.length < 2 + length) return;
      const query = this.#received.slice(2, 2 + length);
      this.#received = this.#received.subarray(2 + length);
      this.#unanswered++;
      this.#stream.credit(2 + length);
      // In a turn of its own also where the answer is there: `#take` is called again from there.
      void Promise.resolve(this.#options.handle(query)).then((answer) => this.#answered(answer));
    }
  }

  #answered(answer: Uint8Array | undefined): void {
    this.#unanswered--;
    if (this.#closed) return;
    if (!answer) {
      this.#abandon("protocol");
      return;
    }
    this.#outbox.push(framed(answer));
    this.#touch();
    this.#flush();
  }

  #flush(): void {
    while (!this.#closed && this.#allowance > 0) {
      const first = this.#outbox[0];
      if (!first) break;
      const part = first.subarray(0, this.#allowance);
      if (part.length === first.length) this.#outbox.shift();
      else this.#outbox[0] = first.subarray(part.length);
      this.#allowance -= part.length;
      this.#stream.write(plainChunk(part));
    }
    this.#take();
    this.#endWhenDone();
  }

  #endWhenDone(): void {
    if (this.#closed || !this.#peerEnded || this.#unanswered > 0 || this.#outbox.length > 0) return;
    this.#stream.end();
    this.#close();
  }

  #abandon(reason: "protocol" | "timeout"): void {
    this.#stream.reset(reason);
    this.#close();
  }

  #touch(): void {
    this.#idle?.cancel();
    this.#idle = this.#options.clock.after(STREAM_IDLE_MS, () => this.#abandon("timeout"));
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#idle?.cancel();
    this.#options.closed();
  }
}
