import { assert, type ByteStream, type Chunk, type ResetReason, type StreamHandler } from "../base/mod.ts";

/** Octets under way in one direction of a pair. */
const WINDOW = 64 * 1024;

/** Two ends of one stream in memory, strict about the contract of `ByteStream`. */
export function streamPair(): [ByteStream, ByteStream] {
  const a = new PairEnd();
  const b = new PairEnd();
  a.peer = b;
  b.peer = a;
  return [a, b];
}

class PairEnd implements ByteStream {
  peer!: PairEnd;
  #handler: StreamHandler | undefined;
  #credit = 0;
  #allowance = WINDOW; // may still be written here
  #announced = 0; // of the allowance, what the handler was told
  readonly #inbox: Uint8Array[] = [];
  #inboxEnded = false;
  #endDelivered = false;
  #ended = false;
  #resetReason: ResetReason | undefined; // by the peer, not yet told
  #dead = false;
  #scheduled = false;

  open(handler: StreamHandler): void {
    assert(!this.#handler, "opened twice");
    this.#handler = handler;
    this.#schedule();
  }

  credit(octets: number): void {
    if (this.#dead) return;
    this.#credit += octets;
    this.#schedule();
  }

  write(chunk: Chunk): void {
    const { bytes } = chunk;
    assert(bytes.length > 0, "empty chunk");
    if (!this.#dead) {
      assert(!this.#ended, "write after end");
      assert(bytes.length <= this.#announced, "written beyond the allowance");
      this.#announced -= bytes.length;
      this.#allowance -= bytes.length;
      this.peer.#inbox.push(bytes.slice());
      this.peer.#schedule();
    }
    chunk.release();
  }

  end(): void {
    if (this.#dead) return;
    assert(!this.#ended, "ended twice");
    this.#ended = true;
    this.peer.#inboxEnded = true;
    this.peer.#schedule();
  }

  reset(reason: ResetReason): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#inbox.length = 0;
    this.peer.#resetReason ??= reason;
    this.peer.#schedule();
  }

  /** Handler methods are called in a turn of their own, so never from within `open`. */
  #schedule(): void {
    if (this.#scheduled || !this.#handler || this.#dead) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#deliver(this.#handler!);
    });
  }

  #deliver(handler: StreamHandler): void {
    if (this.#dead) return;
    if (this.#resetReason !== undefined) {
      this.#dead = true;
      handler.reset(this.#resetReason);
      return;
    }
    if (!this.#ended && this.#announced < this.#allowance) {
      const more = this.#allowance - this.#announced;
      this.#announced = this.#allowance;
      handler.writable(more);
    }
    while (this.#credit > 0 && this.#inbox.length > 0 && !this.#dead) this.#deliverOne(handler);
    if (this.#inboxEnded && this.#inbox.length === 0 && !this.#endDelivered && !this.#dead) {
      this.#endDelivered = true;
      handler.end();
    }
  }

  #deliverOne(handler: StreamHandler): void {
    const first = this.#inbox[0]!;
    const part = first.subarray(0, this.#credit);
    if (part.length === first.length) this.#inbox.shift();
    else this.#inbox[0] = first.subarray(part.length);
    this.#credit -= part.length;
    let released = false;
    handler.data({
      bytes: part,
      release: () => {
        assert(!released, "released twice");
        released = true;
        this.peer.#allowance += part.length;
        this.peer.#schedule();
      },
    });
  }
}
