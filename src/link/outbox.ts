import { type Clock, type Malformed, malformed } from "../base/mod.ts";
import type { Budget, Share } from "./budget.ts";
import type { Carrier } from "./carrier.ts";
import { writeDataHeader } from "./frames.ts";
import {
  HEADER_LEN,
  IDLE_SPARE_SEGMENTS,
  MAX_FRAME,
  MAX_PAYLOAD,
  MAX_TEXT,
  REPLAY_RESERVE,
  SEGMENT_LEN,
  SPARE_SEGMENTS,
} from "./limits.ts";
import { Pacer } from "./pacing.ts";
import { compact, newSegment, roomInRecord, type Segment } from "./segment.ts";

/** Octets under which the rest of a segment is not worth a DATA frame. */
const MIN_PIECE = 1024;
/** Octets of the longest numbered frame that is not DATA. */
const MAX_CONTROL = HEADER_LEN + 2 + MAX_TEXT;

interface Batch {
  readonly lastFrame: number;
  /** Octets of numbered frames up to its end. */
  readonly end: number;
  readonly at: number;
}

/** What an outbox may keep. */
export interface ReplaySpace {
  /** Octets, in the measure of the link. */
  readonly limit: number;
  /** What the process keeps. */
  readonly budget: Budget;
}

/** What an outbox writes to: a carrier, for as long as that lives. */
export type OutboxCarrier = Pick<Carrier, "write" | "writable">;

/**
 * The sending half of a transport: frames are encoded into segments and go to
 * the carrier from there, in one write for each turn or full segment. A segment
 * stays until the peer has acknowledged what it holds, and is all that a new
 * carrier needs: nothing is copied for the sake of a replay.
 */
export class Outbox {
  readonly #clock: Clock;
  readonly #space: ReplaySpace;
  /** From the first carrier to the end: nothing is encoded before, or may be after. */
  #share: Share | undefined;
  readonly #segments: Segment[] = [];
  readonly #spare: Uint8Array[] = [];
  readonly #batches: Batch[] = [];
  /** Segments that a new carrier does not have yet, oldest first; the last of them may still be filled. */
  readonly #resends: Segment[] = [];
  #carrier: OutboxCarrier | undefined;
  #pacer = new Pacer();
  /** Numbered frames encoded, handed to the carrier, acknowledged. */
  #encoded = 0;
  #sent = 0;
  #ackedFrames = 0;
  /** Octets of numbered frames encoded and acknowledged. */
  #octets = 0;
  #ackedOctets = 0;

  constructor(clock: Clock, space: ReplaySpace) {
    this.#clock = clock;
    this.#space = space;
  }

  get unacked(): number {
    return this.#octets - this.#ackedOctets;
  }

  /** Something is encoded that the carrier does not have yet. */
  get unsent(): boolean {
    const tail = this.#segments.at(-1);
    return tail !== undefined && tail.filled > tail.flushed;
  }

  /** Whoever may not go has something unacknowledged: its acknowledgement is the time to ask again. */
  get dataMayGo(): boolean {
    const limit = Math.min(this.#pacer.limit, this.#space.limit - REPLAY_RESERVE);
    return this.unacked < limit && (this.#share?.room ?? 0) >= MAX_FRAME;
  }

  /** Control frames may use what data leaves free. */
  get controlMayGo(): boolean {
    return this.unacked < this.#space.limit && (this.#share?.left ?? 0) >= MAX_CONTROL;
  }

  /** A carrier is there that takes more. */
  get writable(): boolean {
    return this.#carrier?.writable ?? false;
  }

  rtt(ms: number): void {
    this.#pacer.rtt(ms);
  }

  /** The carrier is gone: nothing is written until `attach`, and what is free is let go. */
  detach(): void {
    this.#carrier = undefined;
    this.#spare.length = 0;
    if (this.unacked === 0) this.#segments.length = 0;
  }

  /**
   * Goes on over `carrier`, whose peer has taken `received` numbered frames:
   * all later ones follow again, in order. What was not numbered is dropped.
   */
  attach(carrier: OutboxCarrier, received: number): Malformed | undefined {
    if (received > this.#sent || received < this.#ackedFrames) return malformed("link.received");
    this.#share ??= this.#space.budget.join();
    this.#ackedFrames = received;
    this.#sent = received;
    this.#batches.length = 0;
    this.#pacer = new Pacer(); // Another path.
    while (this.#segments.length > 0 && this.#segments[0]!.lastFrame <= received) this.#segments.shift();
    for (const segment of this.#segments) compact(segment, received);
    this.#ackedOctets = this.#octets - this.#segments.reduce((sum, { filled }) => sum + filled, 0);
    this.#share?.use(this.unacked);
    this.#resends.splice(0, Number.POSITIVE_INFINITY, ...this.#segments);
    this.#carrier = carrier;
    return undefined;
  }

  /** Writes what the new carrier lacks while it takes more; true once it has everything. */
  resend(): boolean {
    while (this.#resends.length > 0 && this.writable) this.#write(this.#resends.shift()!);
    return this.#resends.length === 0;
  }

  numbered(frame: Uint8Array): void {
    const segment = this.#append(frame);
    this.#count(segment, frame.length);
  }

  unnumbered(frame: Uint8Array): void {
    this.#append(frame);
  }

  /** Copies the beginning of `bytes` into one DATA frame; returns how much. */
  data(stream: number, bytes: Uint8Array): number {
    const segment = this.#roomFor(HEADER_LEN + Math.min(bytes.length, MIN_PIECE));
    const room = roomInRecord(segment);
    const length = Math.min(
      bytes.length,
      room >= MIN_PIECE ? room : MAX_PAYLOAD,
      SEGMENT_LEN - segment.filled - HEADER_LEN,
    );
    writeDataHeader(segment.bytes, segment.filled, stream, length);
    segment.bytes.set(length === bytes.length ? bytes : bytes.subarray(0, length), segment.filled + HEADER_LEN);
    segment.filled += HEADER_LEN + length;
    this.#count(segment, HEADER_LEN + length);
    if (segment.filled === SEGMENT_LEN) this.flush();
    return length;
  }

  /** Hands the last segment's new octets to the carrier, once it has all that comes before them. */
  flush(): void {
    const segment = this.#segments.at(-1);
    if (segment !== undefined && this.#resends.length === 0) this.#write(segment);
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
    this.#share?.use(this.unacked);
    this.#pacer.acked(this.#ackedOctets, this.unacked, now);
    this.#freeSegments();
    return undefined;
  }

  /** Little has flowed for a while: most of the memory kept for reuse is let go of. */
  calm(): void {
    if (this.unacked === 0) this.#spare.splice(IDLE_SPARE_SEGMENTS);
  }

  /** Lets go of everything, for good. */
  clear(): void {
    this.detach();
    this.#share?.use(0);
    this.#share?.leave();
    this.#share = undefined;
    this.#segments.length = 0;
    this.#resends.length = 0;
    this.#spare.length = 0;
  }

  #count(segment: Segment, octets: number): void {
    this.#octets += octets;
    this.#share?.use(this.unacked);
    segment.numberedTo = segment.filled;
    segment.lastFrame = ++this.#encoded;
    segment.end = this.#octets;
  }

  #write(segment: Segment): void {
    if (this.#carrier === undefined || segment.filled === segment.flushed) return;
    const batch = segment.bytes.subarray(segment.flushed, segment.filled);
    segment.flushed = segment.filled;
    if (segment.lastFrame > this.#sent) {
      this.#sent = segment.lastFrame;
      this.#batches.push({ lastFrame: segment.lastFrame, end: segment.end, at: this.#clock.now() });
    }
    this.#carrier.write(batch);
  }

  /**
   * Lets go of segments whose numbered frames are acknowledged. One that ends
   * with unnumbered frames is used again only when a frame of a later segment
   * was acknowledged too: the carrier may still hold them.
   */
  #freeSegments(): void {
    while (this.#segments.length > 1 && this.#segments[0]!.lastFrame <= this.#ackedFrames) {
      const { bytes, lastFrame, filled, numberedTo } = this.#segments.shift()!;
      const written = lastFrame < this.#ackedFrames || numberedTo === filled;
      if (written && this.#spare.length < SPARE_SEGMENTS) this.#spare.push(bytes);
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
    const segment = newSegment(this.#spare.pop(), this.#encoded, this.#octets);
    // A new carrier that is still behind gets them in turn.
    if (this.#resends.length > 0) this.#resends.push(segment);
    this.#segments.push(segment);
    this.#freeSegments();
    return segment;
  }
}
