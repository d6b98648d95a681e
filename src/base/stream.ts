/**
 * The one byte-stream contract: TCP connections, link streams and dialled
 * sockets all meet it (`testkit/stream-contract.ts` holds them to it).
 *
 * - Reading is by credit. Nothing is delivered before `open`; afterwards never
 *   more octets than `credit` has granted in all, so a consumer that cannot
 *   take more simply grants no more and the far sender is slowed down.
 * - Writing is by allowance. `StreamHandler.writable(n)` allows `n` more octets;
 *   to write beyond the allowance is a bug (`assert`).
 * - A chunk belongs to the receiver until it calls `release`, exactly once.
 *   Until then the octets do not change; afterwards they must not be read.
 * - Each direction ends by `end` (every octet was delivered) or the whole
 *   stream ends by `reset`. After `reset`, or after `end` in both directions,
 *   no handler method is called again and every method here does nothing (but
 *   `write` still releases its chunk).
 * - Handler methods may be called from within any method but `open`'s own call.
 */
export interface ByteStream {
  /** Attaches the one consumer. Call once. Allowance and data follow in later turns or calls. */
  open(handler: StreamHandler): void;
  /** Lets the stream deliver `octets` more. */
  credit(octets: number): void;
  /** Takes the chunk over, sends it, and releases it. */
  write(chunk: Chunk): void;
  /** Half-close: nothing more will be written. What was written is still sent. */
  end(): void;
  /** Ends both directions at once; unsent octets are dropped. The local handler is not told. */
  reset(reason: ResetReason): void;
}

export interface StreamHandler {
  data(chunk: Chunk): void;
  /** The peer has half-closed; all its octets were delivered. */
  end(): void;
  /** The stream died in both directions. */
  reset(reason: ResetReason): void;
  /** `octets` more may be written. */
  writable(octets: number): void;
}

export interface Chunk {
  /** Never empty. */
  readonly bytes: Uint8Array;
  release(): void;
}

/** Why a stream died. `peer`: the far application reset it; the others are ours to explain. */
export type ResetReason = "peer" | "timeout" | "unreachable" | "refused" | "protocol" | "shutdown" | "session-ended";

const nothing = () => {};

/** A chunk whose memory the garbage collector owns. */
export function plainChunk(bytes: Uint8Array): Chunk {
  return { bytes, release: nothing };
}

export interface SpliceTotals {
  /** Octets from `a` to `b`. */
  aToB: number;
  /** Octets from `b` to `a`. */
  bToA: number;
  /** Absent when both directions ended by half-close. */
  reset?: { from: "a" | "b"; reason: ResetReason };
}

/**
 * Joins two streams until both directions have ended or either is reset; a
 * reset is passed on. No octet is buffered here: what one side may write is
 * exactly what the other may deliver.
 */
export function splice(a: ByteStream, b: ByteStream, done: (totals: SpliceTotals) => void): SpliceTotals {
  const joint: Joint = { totals: { aToB: 0, bToA: 0 }, open: 2, done };
  const handlerOfA = new Side(joint, "a", b);
  const handlerOfB = new Side(joint, "b", a);
  a.open(handlerOfA);
  b.open(handlerOfB);
  return joint.totals;
}

/** What both sides of a splice share. */
interface Joint {
  readonly totals: SpliceTotals;
  /** Directions that have not ended. */
  open: number;
  readonly done: (totals: SpliceTotals) => void;
}

/** What one stream of a splice delivers goes to the other. A class: ten thousand idle ones hold no closures. */
class Side implements StreamHandler {
  readonly #joint: Joint;
  readonly #name: "a" | "b";
  readonly #to: ByteStream;

  constructor(joint: Joint, name: "a" | "b", to: ByteStream) {
    this.#joint = joint;
    this.#name = name;
    this.#to = to;
  }

  data(chunk: Chunk): void {
    this.#joint.totals[this.#name === "a" ? "aToB" : "bToA"] += chunk.bytes.length;
    this.#to.write(chunk);
  }

  end(): void {
    const joint = this.#joint;
    this.#to.end();
    if (--joint.open === 0) joint.done(joint.totals);
  }

  reset(reason: ResetReason): void {
    const joint = this.#joint;
    if (joint.open === 0) return;
    joint.open = 0;
    joint.totals.reset = { from: this.#name, reason };
    this.#to.reset(reason);
    joint.done(joint.totals);
  }

  /** This side can take more, so the other may deliver more. */
  writable(octets: number): void {
    this.#to.credit(octets);
  }
}
