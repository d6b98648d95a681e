import type { Socket } from "node:net";
import { type Lease, UNPOOLED } from "../base/mod.ts";
import { BufferPool, type PooledBuffer } from "./buffer-pool.ts";
import {
  BULK_READ_FROM,
  FULL_READ_LEN,
  MAX_BULK_READERS,
  MAX_SPARE_FULL_READ_OCTETS,
  MAX_SPARE_READ_OCTETS,
  QUIET_READS,
  RAW_READ_LEN,
  TLS_READ_LEN,
} from "./limits.ts";

/** `bytes` may be kept beyond the call by who retains `lease`, until it is released. */
export type TakeRead = (bytes: Uint8Array, lease: Lease) => void;

/**
 * Buffers for the reads of sockets. A cache, not state: nothing depends on what
 * it holds, but all sockets of a process must share it to profit.
 */
class ReadBuffers {
  readonly #small: BufferPool;
  readonly #large: BufferPool;
  /** Quiet sockets all read into this one; what it holds is copied out within the callback. */
  readonly scratch: Uint8Array;
  /** Sockets with a buffer of their own. */
  bulkReaders = 0;

  constructor(length: number, large?: BufferPool) {
    this.#small = new BufferPool(length, MAX_SPARE_READ_OCTETS / length);
    this.#large = large ?? this.#small;
    this.scratch = new Uint8Array(length);
  }

  /** For the next read of a socket whose last one brought `count` octets. */
  poolAfter(count: number): BufferPool {
    return count < this.scratch.length ? this.#small : this.#large;
  }
}

const raw = new ReadBuffers(RAW_READ_LEN, new BufferPool(FULL_READ_LEN, MAX_SPARE_FULL_READ_OCTETS / FULL_READ_LEN));
/** A TLS socket delivers record by record. */
const records = new ReadBuffers(TLS_READ_LEN);

/**
 * Reads a paused socket into buffers that are used again; by default Node makes
 * a new one of 64 KiB for each read, and collecting them costs as much as the
 * rest of the work. Node's documented `onread` does this for sockets that it
 * connects. Here its inner properties are set on accepted and on TLS sockets
 * too; where a Node has none, `data` events serve, slower and no less right.
 *
 * `pause`, `resume` and `end` work as ever. What was already read comes first,
 * within the call.
 */
export function readPooled(socket: Socket, kind: "raw" | "tls", take: TakeRead): void {
  const before = socket.read() as Buffer | null;
  if (before !== null) take(before, UNPOOLED);
  const inner = innerOf(socket);
  if (inner === undefined) socket.on("data", (bytes: Buffer) => take(bytes, UNPOOLED));
  else new PooledReader(socket, inner, kind === "raw" ? raw : records, take);
}

/** What `new net.Socket({ onread })` sets. */
interface Inner {
  readonly handle: { useUserBuffer(buffer: Uint8Array): void };
  readonly buffer: symbol;
  readonly callback: symbol;
  readonly generator: symbol;
}

function innerOf(socket: Socket): Inner | undefined {
  const { _handle: handle } = socket as unknown as { _handle?: Inner["handle"] };
  const own = Object.getOwnPropertySymbols(socket);
  const find = (name: string) => own.find((symbol) => symbol.description === name);
  const [buffer, callback, generator] = [find("kBuffer"), find("kBufferCb"), find("kBufferGen")];
  if (!buffer || !callback || !generator || typeof handle?.useUserBuffer !== "function") return undefined;
  return { handle, buffer, callback, generator };
}

/** Reads into the scratch buffer while little comes, into buffers of its own while much does. */
class PooledReader {
  readonly #buffers: ReadBuffers;
  readonly #take: TakeRead;
  #own: PooledBuffer | undefined;
  /** Small reads in a row. */
  #quiet = 0;
  #closed = false;

  constructor(socket: Socket, inner: Inner, buffers: ReadBuffers, take: TakeRead) {
    this.#buffers = buffers;
    this.#take = take;
    Object.assign(socket, {
      [inner.buffer]: buffers.scratch,
      [inner.callback]: (count: number) => this.#onRead(count),
      [inner.generator]: () => this.#own?.bytes ?? buffers.scratch,
    });
    inner.handle.useUserBuffer(buffers.scratch);
    socket.once("close", () => {
      this.#closed = true;
      this.#calm();
    });
  }

  #onRead(count: number): void {
    const bytes = (this.#own?.bytes ?? this.#buffers.scratch).subarray(0, count);
    if (count < BULK_READ_FROM) {
      // Copied, so that a keystroke in some queue does not hold a whole buffer.
      this.#take(bytes.slice(), UNPOOLED);
      if (++this.#quiet >= QUIET_READS) this.#calm();
      return;
    }
    this.#quiet = 0;
    if (this.#own === undefined) this.#takeCopy(bytes);
    else this.#takeOwn(this.#own, bytes);
  }

  #takeOwn(own: PooledBuffer, bytes: Uint8Array): void {
    this.#take(bytes, own);
    if (this.#own === undefined) return;
    const pool = this.#buffers.poolAfter(bytes.length);
    if (!own.shared && own.bytes.length === pool.length) return;
    own.release();
    this.#own = pool.take();
  }

  #takeCopy(bytes: Uint8Array): void {
    const copy = this.#buffers.poolAfter(0).take();
    copy.bytes.set(bytes);
    if (!this.#closed && this.#buffers.bulkReaders < MAX_BULK_READERS) {
      this.#buffers.bulkReaders++;
      this.#own = this.#buffers.poolAfter(bytes.length).take();
    }
    this.#take(copy.bytes.subarray(0, bytes.length), copy);
    copy.release();
  }

  #calm(): void {
    if (this.#own === undefined) return;
    this.#own.release();
    this.#own = undefined;
    this.#buffers.bulkReaders--;
  }
}
