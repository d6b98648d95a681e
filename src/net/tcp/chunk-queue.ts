import { assert, type Chunk } from "../../base/mod.ts";
import { split } from "./chunks.ts";
import { COPY_BREAK, GATHER_LEN } from "./limits.ts";

/** Memory of our own that small chunks are gathered in. */
interface Gathered extends Chunk {
  bytes: Uint8Array;
  readonly room: Uint8Array;
}

const nothing = () => {};

/** A first gathering run; each next is twice as long, up to `GATHER_LEN`. */
const FIRST_GATHER_LEN = 2048;

/** Dead entries before the first live one that are worth a copy of the array. */
const COMPACT_FROM = 64;

/**
 * Octets first in, first out, kept as the chunks they came in. It owns its
 * chunks and releases each when its last octet is dropped.
 */
export class ChunkQueue {
  /** Octets in the queue. */
  octets = 0;
  #chunks: Chunk[] = [];
  /** Index of the first live chunk. */
  #head = 0;
  /** Octets of the first chunk that are dropped already. */
  #skip = 0;
  /** The last chunk, while small ones may still be gathered there. */
  #gathering: Gathered | undefined;
  /** Where the last `pieces` ended: reading is mostly sequential. */
  #cursorIndex = 0;
  #cursorAt = 0;

  push(chunk: Chunk): void {
    this.#gathering = undefined;
    this.#chunks.push(chunk);
    this.octets += chunk.bytes.length;
  }

  /** Copies the chunk into memory of our own, together with its neighbours, and releases it. */
  gather(chunk: Chunk): void {
    const { bytes } = chunk;
    let target = this.#gathering;
    if (target === undefined || target.room.length - target.bytes.length < bytes.length) {
      const wanted = target === undefined ? FIRST_GATHER_LEN : 2 * target.room.length;
      const room = new Uint8Array(Math.max(bytes.length, Math.min(GATHER_LEN, wanted)));
      target = { bytes: room.subarray(0, 0), room, release: nothing };
      this.#chunks.push(target);
      this.#gathering = target;
    }
    target.room.set(bytes, target.bytes.length);
    target.bytes = target.room.subarray(0, target.bytes.length + bytes.length);
    this.octets += bytes.length;
    chunk.release();
  }

  /** For what may wait long: short chunks give their memory back, long ones fill most of theirs. */
  gatherIfShort(chunk: Chunk): void {
    if (chunk.bytes.length <= COPY_BREAK) this.gather(chunk);
    else this.push(chunk);
  }

  /**
   * Takes all that is in `other`, which ends here. Where the two meet a short
   * chunk is gathered: otherwise short ones could pile up, one for each octet.
   */
  join(other: ChunkQueue): void {
    this.gatherIfShort(other.take(other.octets));
    if (other.octets === 0) return;
    for (let at = other.#head; at < other.#chunks.length; at++) this.#chunks.push(other.#chunks[at]!);
    this.octets += other.octets;
    this.#gathering = other.#gathering;
  }

  /** Removes and returns the first octets, at most `limit` (> 0), as one chunk. */
  take(limit: number): Chunk {
    assert(this.octets > 0 && limit > 0, "take from an empty queue");
    const whole = this.#chunks[this.#head]!;
    if (whole === this.#gathering) this.#gathering = undefined;
    const skip = this.#skip;
    let chunk = skip === 0 ? whole : { bytes: whole.bytes.subarray(skip), release: () => whole.release() };
    this.#skip = 0;
    if (chunk.bytes.length > limit) {
      const [first, rest] = split(chunk, limit);
      this.#chunks[this.#head] = rest;
      chunk = first;
    } else {
      this.#removeHead();
    }
    this.octets -= chunk.bytes.length;
    this.#cursorIndex = this.#head;
    this.#cursorAt = 0;
    return chunk;
  }

  /** Drops the first `octets`. */
  drop(octets: number): void {
    assert(octets <= this.octets, "drop beyond the queue");
    this.octets -= octets;
    this.#skip += octets;
    for (;;) {
      const chunk = this.#chunks[this.#head];
      // What is still gathering grows at its end, but is done when nothing is left in it.
      if (chunk === undefined || chunk.bytes.length > this.#skip) return;
      if (chunk === this.#gathering) this.#gathering = undefined;
      this.#skip -= chunk.bytes.length;
      this.#cursorAt -= chunk.bytes.length;
      this.#removeHead();
      chunk.release();
    }
  }

  /** Adds to `out` where `length` octets from `offset` on lie. They stay in the queue. */
  pieces(offset: number, length: number, out: Uint8Array[]): void {
    assert(offset + length <= this.octets, "pieces beyond the queue");
    // Positions count from the start of the first live chunk.
    const from = offset + this.#skip;
    let index = this.#cursorIndex;
    let start = this.#cursorAt;
    if (from < start || index < this.#head || start < 0) {
      index = this.#head;
      start = 0;
    }
    let left = length;
    let position = from;
    while (left > 0) {
      const { bytes } = this.#chunks[index]!;
      if (position >= start + bytes.length) {
        start += bytes.length;
        index++;
        continue;
      }
      const inside = position - start;
      const n = Math.min(left, bytes.length - inside);
      out.push(n === bytes.length ? bytes : bytes.subarray(inside, inside + n));
      position += n;
      left -= n;
    }
    this.#cursorIndex = index;
    this.#cursorAt = start;
  }

  /** Releases everything. */
  clear(): void {
    this.drop(this.octets);
  }

  #removeHead(): void {
    this.#chunks[this.#head] = undefined as never;
    this.#head++;
    if (this.#head === this.#chunks.length) {
      this.#chunks = [];
    } else if (this.#head >= COMPACT_FROM && this.#head * 2 >= this.#chunks.length) {
      this.#chunks = this.#chunks.slice(this.#head);
    } else {
      return;
    }
    this.#cursorIndex -= this.#head;
    this.#head = 0;
  }
}
