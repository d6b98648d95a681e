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
  const totals: SpliceTotals = { aToB: 0, bToA: 0 };
  let open = 2;
  const side = (to: ByteStream, name: "a" | "b"): StreamHandler => ({
    data(chunk) {
      if (name === "a") totals.aToB += chunk.bytes.length;
      else totals.bToA += chunk.bytes.length;
      to.write(chunk);
    },
    end() {
      to.end();
      if (--open === 0) done(totals);
    },
    reset(reason) {
      if (open === 0) return;
      open = 0;
      totals.reset = { from: name, reason };
      to.reset(reason);
      done(totals);
    },
    writable(octets) {
      // This side can take more, so the other may deliver more.
      to.credit(octets);
    },
  });
  const handlerOfA = side(b, "a");
  const handlerOfB = side(a, "b");
  a.open(handlerOfA);
  b.open(handlerOfB);
  return totals;
}
