import { type Lease, type Malformed, malformed, UNPOOLED } from "../base/mod.ts";
import { HEADER_LEN, MAX_PAYLOAD } from "./limits.ts";

/** Handles one frame; `payload` is kept by retaining `lease`. A Malformed ends the link. */
export type FrameSink = (type: number, stream: number, payload: Uint8Array, lease: Lease) => Malformed | undefined;

/**
 * Cuts a carrier's octets into frames. A frame within one piece is passed on in
 * place; one across pieces is copied once. Holds at most one frame.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  /** The beginning of a frame whose rest has not come: header alone, or header and room for the payload. */
  #partial: Uint8Array | undefined;
  #have = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  push(bytes: Uint8Array, lease: Lease): Malformed | undefined {
    let at = 0;
    while (at < bytes.length) {
      const step = this.#partial ? this.#continue(bytes, at) : this.#whole(bytes, at, lease);
      if (typeof step !== "number") return step;
      at = step;
    }
    return undefined;
  }

  /** A frame that begins at `at`; returns where the next begins. */
  #whole(bytes: Uint8Array, at: number, lease: Lease): number | Malformed {
    const rest = bytes.length - at;
    if (rest < HEADER_LEN) return this.#keep(bytes, at, HEADER_LEN);
    const length = payloadLen(bytes, at);
    if (typeof length !== "number") return length;
    if (rest < HEADER_LEN + length) return this.#keep(bytes, at, HEADER_LEN + length);
    const end = at + HEADER_LEN + length;
    return this.#emit(bytes, at, bytes.subarray(at + HEADER_LEN, end), lease) ?? end;
  }

  #keep(bytes: Uint8Array, at: number, size: number): number {
    const partial = new Uint8Array(size);
    partial.set(bytes.subarray(at));
    this.#partial = partial;
    this.#have = bytes.length - at;
    return bytes.length;
  }

  #continue(bytes: Uint8Array, at: number): number | Malformed {
    let partial = this.#partial!;
    const taken = Math.min(partial.length - this.#have, bytes.length - at);
    partial.set(bytes.subarray(at, at + taken), this.#have);
    this.#have += taken;
    if (this.#have < partial.length) return at + taken;
    const length = payloadLen(partial, 0);
    if (typeof length !== "number") return length;
    if (partial.length < HEADER_LEN + length) {
      const header = partial;
      partial = new Uint8Array(HEADER_LEN + length);
      partial.set(header);
      this.#partial = partial;
      return at + taken;
    }
    this.#partial = undefined;
    return this.#emit(partial, 0, partial.subarray(HEADER_LEN), UNPOOLED) ?? at + taken;
  }

  #emit(frame: Uint8Array, at: number, payload: Uint8Array, lease: Lease): Malformed | undefined {
    if (frame[at + 3] !== 0) return malformed("link.header");
    const stream = ((frame[at + 4]! << 24) | (frame[at + 5]! << 16) | (frame[at + 6]! << 8) | frame[at + 7]!) >>> 0;
    return this.#sink(frame[at + 2]!, stream, payload, lease);
  }
}

function payloadLen(bytes: Uint8Array, at: number): number | Malformed {
  const length = (bytes[at]! << 8) | bytes[at + 1]!;
  return length > MAX_PAYLOAD ? malformed("link.frame-length") : length;
}
