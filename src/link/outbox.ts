import { type Clock, type Malformed, malformed } from "../base/mod.ts";
import type { Carrier } from "./carrier.ts";
import { writeDataHeader } from "./frames.ts";
import {
  HEADER_LEN,
  IDLE_SPARE_SEGMENTS,
  MAX_FRAME,
  MAX_PAYLOAD,
  REPLAY_LIMIT,
  SEGMENT_LEN,
  SPARE_SEGMENTS,
} from "./limits.ts";
import { Pacer } from "./pacing.ts";

/** Octets under which the rest of a segment is not worth a DATA frame. */
const MIN_PIECE = 1024;

interface Segment {
  readonly bytes: Uint8Array;
  filled: number;
  flushed: number;
  /** Number of the last numbered frame at its end. */
  lastFrame: number;
}

interface Batch {
  readonly lastFrame: number;
  /** Octets of numbered frames up to its end. */
  readonly end: number;
  readonly at: number;
}

/**
 * The sending half of a transport: frames are encoded into replay segments and
 * go to the carrier from there, in one write for each turn or full segment. A
 * segment stays until the peer has acknowledged what it holds.
 */
export class Outbox {
  readonly #carrier: Carrier;
  readonly #clock: Clock;
  readonly #pacer = new Pacer();
  readonly #segments: Segment[] = [];
  readonly #spare: Uint8Array[] = [];
  readonly #batches: Batch[] = [];
  /** Numbered frames encoded, handed to the carrier, acknowledged. */
  #encoded = 0;
  #sent = 0;
  #ackedFrames = 0;
  /** Octets of numbered frames encoded and acknowledged. */
  #octets = 0;
  #ackedOctets = 0;

  constructor(carrier: Carrier, clock: Clock) {
    this.#carrier = carrier;
    this.#clock = clock;
  }

  get unacked(): number {
    return this.#octets - this.#ackedOctets;
  }

  /** Something is encoded that the carrier does not have yet. */
  get unsent(): boolean {
    const tail = this.#segments.at(-1);
    return tail !== undefined && tail.filled > tail.flushed;
  }

  get dataMayGo(): boolean {
    return this.unacked < this.#pacer.limit;
  }

  /** Control frames may use what data leaves free. */
  get controlMayGo(): boolean {
    return this.unacked < REPLAY_LIMIT;
  }

  rtt(ms: number): void {
    this.#pacer.rtt(ms);
  }

  numbered(frame: Uint8Array): void {
    const segment = this.#append(frame);
    segment.lastFrame = ++this.#encoded;
    this.#octets += frame.length;
  }

  unnumbered(frame: Uint8Array): void {
    this.#append(frame);
  }

  /** Copies the beginning of `bytes` into one DATA frame; returns how much. */
  data(stream: number, bytes: Uint8Array): number {
    const segment = this.#roomFor(HEADER_LEN + Math.min(bytes.length, MIN_PIECE));
    const length = Math.min(bytes.length, roomInRecord(segment), SEGMENT_LEN - segment.filled - HEADER_LEN);
    writeDataHeader(segment.bytes, segment.filled, stream, length);
    segment.bytes.set(length === bytes.length ? bytes : bytes.subarray(0, length), segment.filled + HEADER_LEN);
    segment.filled += HEADER_LEN + length;
    segment.lastFrame = ++this.#encoded;
    this.#octets += HEADER_LEN + length;
    if (segment.filled === SEGMENT_LEN) this.flush();
    return length;
  }

  flush(): void {
    const segment = this.#segments.at(-1);
    if (segment === undefined || segment.filled === segment.flushed) return;
    const batch = segment.bytes.subarray(segment.flushed, segment.filled);
    segment.flushed = segment.filled;
    if (this.#encoded > this.#sent) {
      this.#sent = this.#encoded;
      this.#batches.push({ lastFrame: this.#encoded, end: this.#octets, at: this.#clock.now() });
    }
    this.#carrier.write(batch);
  }

  /** The peer has taken `received` numbered frames into its memory. */
  acknowledge(received: number): Malformed | undefined {
    if (received > this.#sent || received < this.#ackedFrames) return malformed("link.ack");
    this.#ackedFrames = received;
    const now = this.#clock.now();
    while (this.#batches.length > 0 && this.#batches[0]!.lastFrame <= received) {
      const batch = this.#batches.shift()!;
      this.#ackedOctets = batch.end;
      this.#pacer.rtt(now - batch.at);
    }
    this.#pacer.acked(this.#ackedOctets, this.unacked, now);
    this.#freeSegments();
    if (this.unacked === 0) this.#spare.splice(IDLE_SPARE_SEGMENTS);
    return undefined;
  }

  /**
   * Lets go of segments whose numbered frames are acknowledged. One is used
   * again only when a frame of a later segment was acknowledged too: its last
   * octets may be unnumbered frames that the carrier still holds.
   */
  #freeSegments(): void {
    while (this.#segments.length > 1 && this.#segments[0]!.lastFrame <= this.#ackedFrames) {
      const { bytes, lastFrame } = this.#segments.shift()!;
      if (lastFrame < this.#ackedFrames && this.#spare.length < SPARE_SEGMENTS) this.#spare.push(bytes);
    }
  }

  #append(frame: Uint8Array): Segment {
    const segment = this.#roomFor(frame.length);
    segment.bytes.set(frame, segment.filled);
    segment.filled += frame.length;
    return segment;
  }

  #roomFor(length: number): Segment {
    const tail = this.#segments.at(-1);
    if (tail !== undefined && SEGMENT_LEN - tail.filled >= length) return tail;
    this.flush();
    const bytes = this.#spare.pop() ?? new Uint8Array(SEGMENT_LEN);
    const segment = { bytes, filled: 0, flushed: 0, lastFrame: this.#encoded };
    this.#segments.push(segment);
    this.#freeSegments();
    return segment;
  }
}

/**
 * Octets of payload that end a DATA frame with its TLS record: a write begins a
 * record, and a frame across two records costs the reader a copy.
 */
function roomInRecord(segment: Segment): number {
  const room = MAX_FRAME - ((segment.filled - segment.flushed) % MAX_FRAME) - HEADER_LEN;
  return room >= MIN_PIECE ? room : MAX_PAYLOAD;
}
