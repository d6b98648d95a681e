import { type Chunk, type Lease, leasedChunk, UNPOOLED } from "../base/mod.ts";

/** Octets of the largest block that small pieces are gathered in. */
const MAX_BLOCK = 16 * 1024;
const MIN_BLOCK = 128;

/** Octets that hold their lease. */
interface Piece {
  readonly bytes: Uint8Array;
  readonly lease: Lease;
}

/**
 * Octets that wait for a reader. Pieces that are small, or a small part of the
 * carrier's buffer, are copied together: otherwise one octet could hold 16 KiB
 * alive, and a window full of single octets a million objects.
 */
export class PieceQueue {
  #pieces: Piece[] = [];
  #head = 0;
  /** The last piece's block while it has room: the piece is its beginning. */
  #block: Uint8Array | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(bytes: Uint8Array, lease: Lease): void {
    this.#length += bytes.length;
    const large = bytes.length >= MAX_BLOCK / 4 && bytes.length * 2 >= bytes.buffer.byteLength;
    if (large) {
      this.#block = undefined;
      lease.retain();
      this.#pieces.push({ bytes, lease });
    } else {
      this.#gather(bytes);
    }
  }

  /** Up to `max` octets from the front; only while `length` is not 0. */
  take(max: number): Chunk {
    const { bytes, lease } = this.#pieces[this.#head]!;
    const chunk = leasedChunk(bytes.length <= max ? bytes : bytes.subarray(0, max), lease);
    this.#length -= chunk.bytes.length;
    // What was handed out must not grow, even where only a part went.
    if (this.#head === this.#pieces.length - 1) this.#block = undefined;
    if (bytes.length > max) {
      this.#pieces[this.#head] = { bytes: bytes.subarray(max), lease };
    } else {
      lease.release();
      this.#drop();
    }
    return chunk;
  }

  clear(): void {
    for (const { lease } of this.#pieces.slice(this.#head)) lease.release();
    this.#pieces = [];
    this.#head = 0;
    this.#block = undefined;
    this.#length = 0;
  }

  #gather(bytes: Uint8Array): void {
    const last = this.#block && this.#pieces.at(-1);
    if (this.#block && last && last.bytes.length + bytes.length <= this.#block.length) {
      this.#block.set(bytes, last.bytes.length);
      const grown = this.#block.subarray(0, last.bytes.length + bytes.length);
      this.#pieces[this.#pieces.length - 1] = { bytes: grown, lease: UNPOOLED };
      return;
    }
    // Blocks double, so a stream with little waiting holds little.
    const size = Math.min(MAX_BLOCK, Math.max(MIN_BLOCK, this.#block ? 2 * this.#block.length : 0));
    const block = new Uint8Array(Math.max(size, bytes.length));
    block.set(bytes);
    this.#block = block;
    this.#pieces.push({ bytes: block.subarray(0, bytes.length), lease: UNPOOLED });
  }

  #drop(): void {
    this.#head++;
    if (this.#head === this.#pieces.length) {
      this.#pieces = [];
      this.#head = 0;
    } else if (this.#head >= 64) {
      this.#pieces.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
