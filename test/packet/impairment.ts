import { type Chunk, plainChunk } from "../../src/base/mod.ts";
import { DecisionLog, type Direction, fate } from "./decision-log.ts";
import { completeChecksum } from "./whole-checksum.ts";

/** How a bad network treats frames; chances from 0 to 1, for each frame and direction alike. */
export interface Profile {
  readonly name: string;
  readonly loss?: number;
  /** A frame is overtaken by the next ones. */
  readonly reorder?: number;
  readonly duplicate?: number;
  /** One bit is turned over: every such error is one that the checksums find. */
  readonly corrupt?: number;
  /** The tail of a frame is cut off. */
  readonly truncate?: number;
  readonly delayMs?: number;
  /** Up to this much more, chosen for each frame; that reorders too. */
  readonly jitterMs?: number;
}

export interface ImpairmentOptions {
  profile: Profile;
  seed: number;
  toStack(frame: Chunk): void;
  /** The end of a burst towards the stack. */
  drained(): void;
  /** False: the device refused the frame. */
  toKernel(frame: Uint8Array): boolean;
}

/** A reordered frame waits for so many others, */
const OVERTAKEN_BY = 8;
/** or for so long where no others come. */
const OVERTAKEN_MS = 4;

/** Octets before the first that a checksum covers in either IP version: the virtio-net header, and what of IPv6 precedes the addresses. */
const UNPROTECTED = 18;

interface Waiting {
  readonly dueMs: number;
  /** Others of its direction that must pass before it, if that comes earlier. */
  after: number;
  readonly direction: Direction;
  readonly frame: Uint8Array;
  /** In the log. */
  readonly row: number;
}

/**
 * The bad network between a real TUN and the stack. Every decision comes from
 * one seeded generator and is written down, so that a pause of a transfer can
 * be traced to what was lost in it.
 */
export class Impairment {
  readonly log = new DecisionLog();
  readonly #o: ImpairmentOptions;
  readonly #chance: () => number;
  /** Ordered by time. */
  readonly #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ImpairmentOptions) {
    this.#o = options;
    this.#chance = chances(options.seed);
  }

  /** A frame from the kernel; `drained` is still the caller's to tell. */
  fromKernel(frame: Chunk): void {
    if (this.#quiet()) {
      this.log.add("in", frame.bytes, 0);
      this.#o.toStack(frame);
      return;
    }
    // The chunk's memory goes back to the device, and ours is changed at will.
    const copy = frame.bytes.slice();
    frame.release();
    this.#pass("in", copy);
  }

  /** A frame of the stack's; borrowed. */
  fromStack(frame: Uint8Array): void {
    if (this.#quiet()) this.#deliver("out", frame, this.log.add("out", frame, 0));
    else this.#pass("out", frame.slice());
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#waiting.length = 0;
  }

  #quiet(): boolean {
    const { name: _, ...chances } = this.#o.profile;
    return Object.values(chances).every((chance) => chance === 0);
  }

  #pass(direction: Direction, frame: Uint8Array): void {
    const { profile } = this.#o;
    const happens = (chance: number | undefined) => chance !== undefined && this.#chance() < chance;
    let what = 0;
    if (happens(profile.loss)) what |= fate.LOST;
    if (happens(profile.corrupt)) what |= fate.CORRUPTED;
    if (happens(profile.truncate)) what |= fate.TRUNCATED;
    if (happens(profile.duplicate)) what |= fate.DUPLICATED;
    if (happens(profile.reorder)) what |= fate.REORDERED;
    const row = this.log.add(direction, frame, what);
    this.#overtake(direction);
    if (what & fate.LOST) return;
    const sent = this.#damage(frame, what);
    this.#send(direction, sent, what & fate.REORDERED ? OVERTAKEN_BY : 0, row);
    if (what & fate.DUPLICATED) this.#send(direction, sent.slice(), 0, row);
  }

  /** Damaged after the checksum was completed, as on a wire. */
  #damage(frame: Uint8Array, what: number): Uint8Array {
    if ((what & (fate.CORRUPTED | fate.TRUNCATED)) === 0) return frame;
    completeChecksum(frame);
    if (what & fate.CORRUPTED) {
      const bit = UNPROTECTED * 8 + Math.floor(this.#chance() * (frame.length - UNPROTECTED) * 8);
      frame[bit >> 3]! ^= 1 << (bit & 7);
    }
    if ((what & fate.TRUNCATED) === 0) return frame;
    return frame.subarray(0, 11 + Math.floor(this.#chance() * (frame.length - 11)));
  }

  #send(direction: Direction, frame: Uint8Array, overtakenBy: number, row: number): void {
    const { delayMs = 0, jitterMs = 0 } = this.#o.profile;
    const delay = delayMs + jitterMs * this.#chance() + (overtakenBy > 0 ? OVERTAKEN_MS : 0);
    if (delay === 0) {
      this.#deliver(direction, frame, row);
      return;
    }
    const after = overtakenBy > 0 && delayMs === 0 ? 1 + Math.floor(this.#chance() * overtakenBy) : Infinity;
    const entry: Waiting = { dueMs: performance.now() + delay, after, direction, frame, row };
    let at = this.#waiting.length;
    while (at > 0 && this.#waiting[at - 1]!.dueMs > entry.dueMs) at--;
    this.#waiting.splice(at, 0, entry);
    this.#timer ??= setTimeout(() => this.#expired(), delay);
  }

  /** One more frame has passed those that are held back. */
  #overtake(direction: Direction): void {
    if (this.#waiting.length === 0) return;
    const ready: Waiting[] = [];
    for (const entry of this.#waiting) {
      if (entry.direction === direction && --entry.after <= 0) ready.push(entry);
    }
    for (const entry of ready) {
      this.#waiting.splice(this.#waiting.indexOf(entry), 1);
      // Not from within the stack's own call of `emit`.
      if (direction === "in") this.#deliver(direction, entry.frame, entry.row);
      else this.#waiting.unshift({ ...entry, dueMs: 0, after: Infinity });
    }
    if (ready.length > 0 && direction === "out") this.#hurry();
  }

  #hurry(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#expired(), 0);
  }

  #expired(): void {
    this.#timer = undefined;
    const now = performance.now();
    let entered = false;
    while (this.#waiting.length > 0 && this.#waiting[0]!.dueMs <= now) {
      const { direction, frame, row } = this.#waiting.shift()!;
      entered ||= direction === "in";
      this.#deliver(direction, frame, row);
    }
    if (entered) this.#o.drained();
    if (this.#waiting.length === 0) return;
    this.#timer ??= setTimeout(() => this.#expired(), Math.max(1, this.#waiting[0]!.dueMs - performance.now()));
  }

  #deliver(direction: Direction, frame: Uint8Array, row: number): void {
    if (direction === "in") this.#o.toStack(plainChunk(frame));
    else if (!this.#o.toKernel(frame)) this.log.mark(row, fate.REFUSED);
  }
}

/** Numbers from 0 to 1, excluding 1 (mulberry32). */
export function chances(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
