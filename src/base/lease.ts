import type { Chunk } from "./stream.ts";

/** Memory that is used again once nobody holds it. Each `retain` is matched by one `release`, or the memory is lost to its pool. */
export interface Lease {
  retain(): void;
  release(): void;
}

const nothing = () => {};

/** Of memory that the garbage collector owns. */
export const UNPOOLED: Lease = { retain: nothing, release: nothing };

/** A chunk that holds `lease` until its own release. */
export function leasedChunk(bytes: Uint8Array, lease: Lease): Chunk {
  lease.retain();
  return new LeasedChunk(bytes, lease);
}

class LeasedChunk implements Chunk {
  readonly bytes: Uint8Array;
  readonly #lease: Lease;

  constructor(bytes: Uint8Array, lease: Lease) {
    this.bytes = bytes;
    this.#lease = lease;
  }

  release(): void {
    this.#lease.release();
  }
}
