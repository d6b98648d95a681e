import {
  assert,
  type ByteStream,
  type Chunk,
  type Lease,
  leasedChunk,
  type Malformed,
  malformed,
  type ResetReason,
  type StreamHandler,
} from "../base/mod.ts";
import type { RefusalCode } from "./codes.ts";
import type { CreditPool } from "./credit.ts";
import { encodeFrame, type Frame } from "./frames.ts";
import { MAX_PAYLOAD } from "./limits.ts";
import type { Outbox } from "./outbox.ts";
import { PieceQueue } from "./pieces.ts";

/** Sent chunks that may stay at the front of a queue before it is moved up. */
const COMPACT_AT = 64;

/** What a stream asks of its link. */
export interface StreamHost {
  readonly pool: CreditPool;
  /** Octets that a stream's writer may be ahead of the frames now. */
  readonly sendQueue: number;
  /** `sendControl` is to be called. */
  controlReady(stream: LinkStream): void;
  /** `sendData` is to be called. */
  dataReady(stream: LinkStream): void;
  /** Forget the stream; nothing more will be sent for it. */
  gone(stream: LinkStream): void;
}

/** The control frame a stream still owes its peer, before any data. */
export type Owed = Extract<Frame, { type: "open" | "opened" | "refused" | "reset" }>;

/**
 * One app connection on a link. Credit runs on absolute octet offsets in both
 * directions, and the end of each direction names its final offset.
 */
export class LinkStream implements ByteStream {
  readonly id: number;
  readonly #host: StreamHost;
  #handler: StreamHandler | undefined;
  #owed: Owed | undefined;
  /** Reset by either side, or refused: no handler call, no frame but an owed one. */
  #dead = false;
  #resetBeforeOpen: ResetReason | undefined;

  // Receiving. `granted` − `delivered` ≤ `window`, which the pool has set aside.
  readonly #waiting = new PieceQueue();
  #window: number;
  #granted: number;
  #received = 0;
  #delivered = 0;
  #credit = 0;
  #finAt: number | undefined;
  #endTold = false;
  #delivering = false;
  #windowOwed = false;

  // Sending. `sent` ≤ `peerLimit`; `written` ≤ `allowed`.
  #queue: Chunk[] = [];
  #queueHead = 0;
  /** Octets of the first chunk that are sent already. */
  #headSent = 0;
  #peerLimit = 0;
  #allowed = 0;
  #written = 0;
  #sent = 0;
  #ending = false;
  #finSent = false;
  #allowing = false;

  constructor(id: number, host: StreamHost) {
    this.id = id;
    this.#host = host;
    this.#window = host.pool.open();
    this.#granted = this.#window;
  }

  /** Octets the peer may send at first: belongs into OPEN or OPENED. */
  get initialWindow(): number {
    return this.#granted;
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** Both ends have come and gone; octets may still wait for the reader. */
  get complete(): boolean {
    return this.#finAt !== undefined && this.#finSent;
  }

  /** Octets that wait here for the reader or for the carrier. */
  get heldOctets(): number {
    return this.#waiting.length + this.#written - this.#sent;
  }

  // ---- the consumer's side

  open(handler: StreamHandler): void {
    assert(this.#handler === undefined, "a stream is opened once");
    this.#handler = handler;
    queueMicrotask(() => {
      if (this.#resetBeforeOpen !== undefined) return handler.reset(this.#resetBeforeOpen);
      this.#allow();
      this.#deliver();
    });
  }

  credit(octets: number): void {
    if (this.#dead || this.#endTold) return;
    this.#credit += octets;
    this.#deliver();
  }

  write(chunk: Chunk): void {
    if (this.#dead || this.#ending) {
      chunk.release();
      return;
    }
    this.#written += chunk.bytes.length;
    assert(this.#written <= this.#allowed, "written beyond the allowance");
    this.#queue.push(chunk);
    this.#host.dataReady(this);
  }

  end(): void {
    if (this.#dead || this.#ending) return;
    this.#ending = true;
    this.#host.dataReady(this);
  }

  reset(reason: ResetReason): void {
    if (this.#dead || this.#finished) return;
    this.#die();
    const unsent = this.#owed?.type;
    // An OPEN that was never sent needs no RESET, and a RESET is no answer to one.
    if (unsent === "open") this.#host.gone(this);
    else if (unsent === "opened") this.owe({ type: "refused", stream: this.id, code: "connection-refused", text: "" });
    else this.owe({ type: "reset", stream: this.id, reason });
  }

  // ---- the link's side, sending

  owe(frame: Owed): void {
    this.#owed = frame;
    this.#host.controlReady(this);
  }

  /** The OPEN was answered with REFUSED, by us. */
  refuse(code: RefusalCode, text: string): void {
    this.#die();
    this.owe({ type: "refused", stream: this.id, code, text });
  }

  /** Returns the answer or OPEN that was just sent, if one was. */
  sendControl(outbox: Outbox): Owed["type"] | undefined {
    const owed = this.#owed;
    if (owed !== undefined) {
      this.#owed = undefined;
      outbox.numbered(encodeFrame(owed));
      if (this.#dead) this.#host.gone(this);
    }
    if (this.#windowOwed && !this.#dead) {
      outbox.numbered(encodeFrame({ type: "window", stream: this.id, offset: this.#granted }));
    }
    this.#windowOwed = false;
    return owed?.type;
  }

  /** Sends up to four frames; true while more could go at once. */
  sendData(outbox: Outbox): boolean {
    if (this.#dead || this.#owed !== undefined) return false;
    let quantum = 4 * MAX_PAYLOAD;
    while (quantum > 0 && this.#queueHead < this.#queue.length && outbox.dataMayGo) {
      quantum -= this.#sendPiece(outbox, quantum);
    }
    this.#compact();
    if (this.#ending && !this.#finSent && !this.#dead && this.#queue.length === 0) this.#sendFin(outbox);
    this.#allow();
    return !this.#dead && this.#queueHead < this.#queue.length;
  }

  #sendPiece(outbox: Outbox, max: number): number {
    const chunk = this.#queue[this.#queueHead]!;
    const end = Math.min(chunk.bytes.length, this.#headSent + max);
    const whole = this.#headSent === 0 && end === chunk.bytes.length;
    const sent = outbox.data(this.id, whole ? chunk.bytes : chunk.bytes.subarray(this.#headSent, end));
    this.#sent += sent;
    this.#headSent += sent;
    if (this.#headSent === chunk.bytes.length) {
      this.#queueHead++;
      this.#headSent = 0;
      chunk.release();
    }
    return sent;
  }

  #compact(): void {
    if (this.#queueHead < this.#queue.length && this.#queueHead < COMPACT_AT) return;
    this.#queue.splice(0, this.#queueHead);
    this.#queueHead = 0;
  }

  #sendFin(outbox: Outbox): void {
    this.#finSent = true;
    outbox.numbered(encodeFrame({ type: "fin", stream: this.id, offset: this.#sent }));
    if (this.#finished) this.#finish();
  }

  /** Raises the writer's allowance to what the peer takes, in useful steps, at most `sendQueue` ahead of the frames. */
  #allow(): void {
    if (this.#handler === undefined || this.#allowing) return;
    this.#allowing = true;
    for (;;) {
      if (this.#dead || this.#ending) break;
      const more = Math.min(this.#peerLimit, this.#sent + this.#host.sendQueue) - this.#allowed;
      if (more <= 0 || (more < MAX_PAYLOAD && this.#allowed > this.#written)) break;
      this.#allowed += more;
      this.#handler.writable(more);
    }
    this.#allowing = false;
  }

  // ---- the link's side, receiving

  /** The peer's first window, from OPEN or OPENED. */
  begin(peerWindow: number): void {
    this.#peerLimit = peerWindow;
    this.#allow();
  }

  onWindow(offset: number): Malformed | undefined {
    if (offset < this.#peerLimit) return malformed("link.window-back");
    this.#peerLimit = offset;
    this.#allow();
    return undefined;
  }

  onData(payload: Uint8Array, lease: Lease): Malformed | undefined {
    if (this.#dead) return undefined;
    if (payload.length === 0) return malformed("link.empty-data");
    if (this.#finAt !== undefined) return malformed("link.data-after-fin");
    this.#received += payload.length;
    if (this.#received > this.#granted) return malformed("link.credit");
    const direct = this.#handler && !this.#delivering && this.#waiting.length === 0 && payload.length <= this.#credit;
    if (direct) this.#handOver(leasedChunk(payload, lease));
    else this.#waiting.push(payload, lease);
    this.#deliver();
    return undefined;
  }

  /** False where `offset` is not what was received: octets are missing. */
  onFin(offset: number): boolean {
    if (this.#dead) return true;
    if (this.#finAt !== undefined || offset !== this.#received) return false;
    this.#finAt = offset;
    this.#deliver();
    return true;
  }

  /** The peer's RESET, or the link's end. */
  onReset(reason: ResetReason): void {
    this.#owed = undefined;
    if (!this.#dead) {
      const handler = this.#handler;
      this.#die();
      if (handler === undefined) this.#resetBeforeOpen = reason;
      else handler.reset(reason);
    }
    this.#host.gone(this);
  }

  /** We found the stream broken: both ends are told. */
  fail(reason: ResetReason): void {
    if (this.#dead) return;
    const handler = this.#handler;
    this.reset(reason);
    if (handler === undefined) this.#resetBeforeOpen = reason;
    else handler.reset(reason);
  }

  #deliver(): void {
    if (this.#handler === undefined || this.#delivering) return;
    this.#delivering = true;
    while (!this.#dead && this.#credit > 0 && this.#waiting.length > 0) {
      this.#handOver(this.#waiting.take(this.#credit));
    }
    this.#delivering = false;
    if (this.#dead) return;
    if (this.#finAt !== undefined && this.#waiting.length === 0 && !this.#endTold) this.#tellEnd();
    else this.#renewWindow();
  }

  #handOver(chunk: Chunk): void {
    this.#credit -= chunk.bytes.length;
    this.#delivered += chunk.bytes.length;
    this.#handler!.data(chunk);
  }

  #tellEnd(): void {
    this.#endTold = true;
    this.#handler!.end();
    if (this.#finished && !this.#dead) this.#finish();
  }

  #renewWindow(): void {
    if (this.#finAt !== undefined || this.#granted - this.#delivered > this.#window / 2) return;
    this.#window = this.#host.pool.renew(this.#window);
    this.#granted = this.#delivered + this.#window;
    this.#windowOwed = true;
    this.#host.controlReady(this);
  }

  // ---- the end

  get #finished(): boolean {
    return this.#finSent && this.#endTold;
  }

  #finish(): void {
    this.#die();
    this.#host.gone(this);
  }

  #die(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#host.pool.close(this.#window);
    this.#waiting.clear();
    for (let i = this.#queueHead; i < this.#queue.length; i++) this.#queue[i]!.release();
    this.#queue = [];
    this.#queueHead = 0;
  }
}
