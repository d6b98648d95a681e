import { assert, type Lease } from "../base/mod.ts";

/**
 * Buffers of one length that are used again. One that is never given back is
 * left to the garbage collector, so that a lost release costs speed only.
 */
export class BufferPool {
  readonly length: number;
  readonly #maxSpare: number;
  readonly #spare: PooledBuffer[] = [];

  constructor(length: number, maxSpare: number) {
    this.length = length;
    this.#maxSpare = maxSpare;
  }

  get spare(): number {
    return this.#spare.length;
  }

  /** Held once, by the caller. */
  take(): PooledBuffer {
    const buffer = this.#spare.pop() ?? new PooledBuffer(this.length, (free) => this.#put(free));
    buffer.retain();
    return buffer;
  }

  #put(buffer: PooledBuffer): void {
    if (this.#spare.length < this.#maxSpare) this.#spare.push(buffer);
  }
}

export class PooledBuffer implements Lease {
  readonly bytes: Uint8Array;
  readonly #free: (buffer: PooledBuffer) => void;
  #holders = 0;

  constructor(length: number, free: (buffer: PooledBuffer) => void) {
    this.bytes = new Uint8Array(length); // No Buffer: its `slice` would not copy.
    this.#free = free;
  }

  /** Somebody besides the caller still looks at it. */
  get shared(): boolean {
    return this.#holders > 1;
  }

  retain(): void {
    this.#holders++;
  }

  release(): void {
    assert(this.#holders > 0, "a buffer is released once by each holder");
    if (--this.#holders === 0) this.#free(this);
  }
}
