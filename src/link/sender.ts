import type { Clock, Malformed } from "../base/mod.ts";
import { encodeFrame } from "./frames.ts";
import { Outbox, type OutboxCarrier, type ReplaySpace } from "./outbox.ts";
import type { Receipts } from "./receipts.ts";
import type { LinkStream, Owed } from "./stream.ts";

export interface SenderOptions {
  clock: Clock;
  receipts: Receipts;
  replay: ReplaySpace;
  /** A stream's answer or OPEN was sent. */
  sent(stream: LinkStream, frame: Owed["type"]): void;
}

/**
 * Decides what goes next: control frames first, then data in turns of four
 * frames a stream, in one write for all that an event-loop turn brings.
 */
export class Sender {
  readonly outbox: Outbox;
  readonly #options: SenderOptions;
  readonly #controlReady = new Set<LinkStream>();
  readonly #dataReady = new Set<LinkStream>();
  #stopped = false;
  #pumping = false;
  #flushScheduled = false;
  #pongOwed: number | undefined;
  #pingOwed: number | undefined;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.outbox = new Outbox(options.clock, options.replay);
  }

  /** Begins, or goes on, over this carrier, whose peer has taken `received` numbered frames. */
  attach(carrier: OutboxCarrier, received: number): Malformed | undefined {
    const bad = this.outbox.attach(carrier, received);
    if (bad === undefined) this.pump();
    return bad;
  }

  /** Nothing goes until the next `attach`; answers that were owed are for the old carrier only. */
  detach(): void {
    this.outbox.detach();
    this.#pingOwed = undefined;
    this.#pongOwed = undefined;
  }

  /** Nothing is sent from here on but by `last`. */
  stop(): void {
    this.#stopped = true;
  }

  controlReady(stream: LinkStream): void {
    this.#controlReady.add(stream);
    this.pump();
  }

  dataReady(stream: LinkStream): void {
    this.#dataReady.add(stream);
    this.pump();
  }

  forget(stream: LinkStream): void {
    this.#controlReady.delete(stream);
    this.#dataReady.delete(stream);
  }

  ping(id: number): void {
    this.#pingOwed = id;
    this.wake();
  }

  pong(id: number): void {
    this.#pongOwed = id;
    this.wake();
  }

  /** Encodes all that may go now. */
  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    let more = this.outbox.resend();
    while (more && !this.#stopped && this.outbox.writable) more = this.#control() || this.#data();
    this.#pumping = false;
    this.wake();
  }

  /** Makes sure that this turn ends with a write. */
  wake(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    queueMicrotask(() => {
      this.#flushScheduled = false;
      this.#flush();
    });
  }

  #control(): boolean {
    if (this.#controlReady.size === 0 || !this.outbox.controlMayGo) return false;
    const stream = first(this.#controlReady);
    this.#controlReady.delete(stream);
    const sent = stream.sendControl(this.outbox);
    if (sent === undefined) return true;
    this.#options.sent(stream, sent);
    if (!stream.dead) this.#dataReady.add(stream);
    return true;
  }

  #data(): boolean {
    if (this.#dataReady.size === 0 || !this.outbox.dataMayGo) return false;
    const stream = first(this.#dataReady);
    this.#dataReady.delete(stream);
    if (stream.sendData(this.outbox)) this.#dataReady.add(stream);
    return true;
  }

  #flush(): void {
    // While the carrier is full, answers wait and are merged: a peer that asks without reading costs nothing.
    if (this.#stopped || !this.outbox.writable) return;
    if (this.#pingOwed !== undefined) this.outbox.unnumbered(encodeFrame({ type: "ping", id: this.#pingOwed }));
    this.#pingOwed = undefined;
    if (this.#pongOwed !== undefined) this.outbox.unnumbered(encodeFrame({ type: "pong", id: this.#pongOwed }));
    this.#pongOwed = undefined;
    const ack = this.#options.receipts.next(this.outbox.unsent);
    if (ack) this.outbox.unnumbered(ack);
    this.outbox.flush();
  }
}

/** Sets keep their order, so the first is the one that has waited longest. */
function first<T>(set: Set<T>): T {
  return set.values().next().value as T;
}
