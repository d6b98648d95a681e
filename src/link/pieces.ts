/** Octets of the largest block that small pieces are gathered in. */
const MAX_BLOCK = 16 * 1024;
const MIN_BLOCK = 128;

/**
 * Octets that wait for a reader. Pieces that are small, or a small part of the
 * carrier's buffer, are copied together: otherwise one octet could hold 16 KiB
 * alive, and a window full of single octets a million objects.
 */
export class PieceQueue {
  #pieces: Uint8Array[] = [];
  #head = 0;
  /** The last piece's block while it has room: the piece is its beginning. */
  #block: Uint8Array | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(bytes: Uint8Array): void {
    this.#length += bytes.length;
    const large = bytes.length >= MAX_BLOCK / 4 && bytes.length * 2 >= bytes.buffer.byteLength;
    if (large) {
      this.#block = undefined;
      this.#pieces.push(bytes);
    } else {
      this.#gather(bytes);
    }
  }

  /** Up to `max` octets from the front; only while `length` is not 0. */
  take(max: number): Uint8Array {
    const first = this.#pieces[this.#head]!;
    const bytes = first.length <= max ? first : first.subarray(0, max);
    this.#length -= bytes.length;
    // What was handed out must not grow, even where only a part went.
    if (this.#head === this.#pieces.length - 1) this.#block = undefined;
    if (bytes.length < first.length) this.#pieces[this.#head] = first.subarray(max);
    else this.#drop();
    return bytes;
  }

  clear(): void {
    this.#pieces = [];
    this.#head = 0;
    this.#block = undefined;
    this.#length = 0;
  }

  #gather(bytes: Uint8Array): void {
    const last = this.#block && this.#pieces.at(-1);
    if (this.#block && last && last.length + bytes.length <= this.#block.length) {
      this.#block.set(bytes, last.length);
      this.#pieces[this.#pieces.length - 1] = this.#block.subarray(0, last.length + bytes.length);
      return;
    }
    // Blocks double, so a stream with little waiting holds little.
    const size = Math.min(MAX_BLOCK, Math.max(MIN_BLOCK, this.#block ? 2 * this.#block.length : 0));
    const block = new Uint8Array(Math.max(size, bytes.length));
    block.set(bytes);
    this.#block = block;
    this.#pieces.push(block.subarray(0, bytes.length));
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
