import { assert, type Lease, systemRandom } from "../base/mod.ts";
import type { Carrier, CarrierHandler } from "./carrier.ts";

export interface MemoryCarrierOptions {
  /** Octets on their way after which `writable` is false. */
  highWaterMark?: number;
  /** Cuts what arrives into pieces of so many octets; whole writes by default. */
  pieceLen?: () => number;
}

/** Two ends of a carrier in memory, for tests: octets cross in later turns and are copied on the way. */
export function memoryCarrierPair(options: MemoryCarrierOptions = {}): [MemoryCarrier, MemoryCarrier] {
  const a = new MemoryCarrier(options);
  const b = new MemoryCarrier(options);
  a.join(b);
  b.join(a);
  b.binding = a.binding;
  return [a, b];
}

export class MemoryCarrier implements Carrier {
  binding = systemRandom(32);
  /** Everything written so far, where set before the start. */
  recorded: Uint8Array[] | undefined;
  /** Octets are taken and vanish, as on a path that is cut. */
  silent = false;
  /** Octets are taken and wait until `release`. */
  held = false;
  /** So many octets arrive, then both ends end, in the middle of a write or not. */
  cutAfter = Number.POSITIVE_INFINITY;
  readonly #options: MemoryCarrierOptions;
  #other: MemoryCarrier | undefined;
  #handler: CarrierHandler | undefined;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #scheduled = false;
  #full = false;
  #closing = false;
  #closed = false;

  constructor(options: MemoryCarrierOptions) {
    this.#options = options;
  }

  join(other: MemoryCarrier): void {
    this.#other = other;
  }

  get writable(): boolean {
    return !this.#full;
  }

  start(handler: CarrierHandler): void {
    this.#handler = handler;
    this.#other!.#schedule();
  }

  write(bytes: Uint8Array): void {
    assert(bytes.length > 0 && bytes.length <= 65_536, "a batch is at most four full frames");
    if (this.#closing || this.#closed) return;
    this.recorded?.push(bytes.slice());
    if (this.silent) return;
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    this.#full = this.#queued >= (this.#options.highWaterMark ?? 128 * 1024);
    this.#schedule();
  }

  /** As a hostile peer would: anything, to the other end. */
  inject(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#schedule();
  }

  release(): void {
    this.held = false;
    this.#schedule();
  }

  close(): void {
    this.#closing = true;
    this.#schedule();
  }

  destroy(): void {
    this.#queue = [];
    this.#closing = true;
    this.#end();
    queueMicrotask(() => this.#other!.#end());
  }

  #end(error?: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    queueMicrotask(() => this.#handler?.closed(error));
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#carry();
    });
  }

  #carry(): void {
    const other = this.#other!;
    if (!other.#handler || this.held) return;
    for (const bytes of this.#queue.splice(0)) {
      this.#queued -= bytes.length;
      for (const piece of this.#cut(bytes.subarray(0, this.#passing(bytes.length)))) {
        if (other.#closed) break;
        const lease = new SpoilingLease(piece);
        other.#handler.data(piece, lease);
        lease.release();
      }
    }
    if (this.cutAfter === 0) {
      this.destroy();
      return;
    }
    if (this.#full) {
      this.#full = false;
      this.#handler?.writable();
    }
    if (!this.#closing || this.silent || this.#queue.length > 0) return;
    this.#end();
    other.#end();
  }

  /** How much of a write arrives. */
  #passing(length: number): number {
    const passing = Math.min(length, this.cutAfter);
    this.cutAfter -= passing;
    return passing;
  }

  *#cut(bytes: Uint8Array): Generator<Uint8Array> {
    const next = this.#options.pieceLen;
    for (let at = 0; at < bytes.length; ) {
      const length = next ? Math.min(next(), bytes.length - at) : bytes.length;
      yield bytes.slice(at, at + length);
      at += length;
    }
  }
}

/** Octets that nobody holds any more are overwritten, as a pool's next read would. */
class SpoilingLease implements Lease {
  readonly #bytes: Uint8Array;
  #holders = 1;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  retain(): void {
    assert(this.#holders > 0, "memory that was given back is gone");
    this.#holders++;
  }

  release(): void {
    assert(this.#holders > 0, "memory is given back once by each holder");
    if (--this.#holders === 0) this.#bytes.fill(0xdd);
  }
}
