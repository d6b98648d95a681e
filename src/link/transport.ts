import {
  type ByteStream,
  type Clock,
  type Counters,
  isMalformed,
  type Lease,
  type Logger,
  type Malformed,
  malformed,
  type ResetReason,
} from "../base/mod.ts";
import type { Budget } from "./budget.ts";
import type { Channel } from "./channel.ts";
import type { CreditPool } from "./credit.ts";
import { decodeFrame, encodeFrame, type Frame, isNumbered, TYPE } from "./frames.ts";
import { KeepAlive } from "./keep-alive.ts";
import { HEADER_LEN, MAX_UNANSWERED_OPENS } from "./limits.ts";
import { PendingOpens, Request } from "./opens.ts";
import type { OpenRequest } from "./options.ts";
import { Receipts } from "./receipts.ts";
import { Sender } from "./sender.ts";
import { LinkStream, type StreamHost } from "./stream.ts";

/** What a transport asks of its link. */
export interface TransportHost {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly log: Logger;
  readonly pool: CreditPool;
  /** What transports keep until it is acknowledged: of the process, and how much of it is one transport's at most. */
  readonly replay: Budget;
  readonly replayLimit: number;
  /** Set on the server's side. */
  readonly onOpen: ((request: OpenRequest) => void) | undefined;
  readonly draining: boolean;
  /** As a stream asks for it. */
  readonly sendQueue: number;
  /** No room for another stream on the link. */
  readonly full: boolean;
  goaway(frame: Extract<Frame, { type: "goaway" }>): void;
  broken(bad: Malformed): void;
  /** The carrier is gone, and given up already. */
  lost(transport: Transport, code: "carrier" | "dead", message: string, silentMs: number): void;
  worn(transport: Transport): void;
  /** Perhaps nothing would be lost with the link any more. */
  idle(): void;
}

/**
 * A numbered sequence of frames each way with the streams on it. It lives as
 * long as its link, on one carrier after the other: what the peer has not taken
 * over one, it gets over the next.
 */
export class Transport {
  readonly id: number;
  /** Of its carriers, counted by the client; each attempt takes the next. */
  generation = 0;
  readonly #host: TransportHost;
  readonly #sender: Sender;
  readonly #receipts: Receipts;
  readonly #streamHost: StreamHost;
  readonly #streams = new Map<number, LinkStream>();
  readonly #opens: PendingOpens;
  readonly #requests = new Map<number, Request>();
  #channel: Channel | undefined;
  #keepAlive: KeepAlive | undefined;
  #lastStream = 0;
  #ended = false;

  constructor(id: number, host: TransportHost) {
    this.id = id;
    this.#host = host;
    const { clock } = host;
    this.#receipts = new Receipts(clock, () => this.#sender.wake());
    this.#sender = new Sender({
      clock,
      replay: {
        budget: host.replay,
        get limit() {
          return host.replayLimit;
        },
      },
      receipts: this.#receipts,
      sent: (stream, frame) => {
        if (frame !== "open") this.#requests.delete(stream.id);
      },
    });
    this.#streamHost = {
      pool: host.pool,
      get sendQueue() {
        return host.sendQueue;
      },
      controlReady: (stream) => this.#sender.controlReady(stream),
      dataReady: (stream) => this.#sender.dataReady(stream),
      gone: (stream) => this.#forget(stream),
    };
    this.#opens = new PendingOpens(clock);
  }

  get attached(): boolean {
    return this.#channel !== undefined;
  }

  get streams(): number {
    return this.#streams.size;
  }

  get unanswered(): number {
    return this.#opens.size;
  }

  /** Octets that the peer has not acknowledged. */
  get unacked(): number {
    return this.#sender.outbox.unacked;
  }

  /** Nothing would be lost with it. */
  get idle(): boolean {
    return this.#streams.size === 0 && this.unacked === 0;
  }

  /** Octets kept for peer and readers. */
  get heldOctets(): number {
    let sum = this.unacked;
    for (const stream of this.#streams.values()) sum += stream.heldOctets;
    return sum;
  }

  // ---- carriers

  /** Goes on over `channel`, whose peer has taken `received` numbered frames. */
  attach(channel: Channel, received: number): Malformed | undefined {
    const { clock } = this.#host;
    this.#channel = channel;
    const keepAlive = new KeepAlive(clock, {
      ping: (id) => this.#sender.ping(id),
      dead: () => this.#lost("dead", "nothing was heard from the other end"),
    });
    this.#keepAlive = keepAlive;
    channel.handOver({
      frame: (type, id, payload, lease) => this.#onFrame(type, id, payload, lease),
      heard: () => keepAlive.heard(),
      writable: () => {
        this.#sender.pump();
        this.#sender.wake();
      },
      broken: (bad) => this.#host.broken(bad),
      ended: (message) => this.#lost("carrier", message),
      worn: () => this.#host.worn(this),
    });
    const bad = this.#sender.attach(channel, received);
    if (bad === undefined) keepAlive.ping();
    return bad;
  }

  /** Gives the carrier up, with all that came over it and was not handled; returns how many frames were. */
  detach(): number {
    const channel = this.#channel;
    this.#channel = undefined;
    this.#keepAlive?.stop();
    this.#sender.detach();
    channel?.destroy();
    this.#receipts.told(); // ATTACH or its answer says it.
    return this.#receipts.received;
  }

  /** The path may have changed: a sign of life is wanted soon. */
  probe(): void {
    this.#keepAlive?.probe();
  }

  // ---- what the link says

  say(frame: Frame): void {
    this.#sender.outbox.unnumbered(encodeFrame(frame));
    this.#sender.wake();
  }

  /** Resets everything. `last` still goes; a carrier that is `cut` takes no leave. */
  end(error: Error & { reason: ResetReason }, cut: boolean, last: Frame | undefined): void {
    this.#ended = true;
    this.#sender.stop();
    this.#receipts.stop();
    this.#keepAlive?.stop();
    if (last !== undefined) {
      this.#sender.outbox.unnumbered(encodeFrame(last));
      this.#sender.outbox.flush();
    }
    if (cut) this.#channel?.destroy();
    else this.#channel?.close();
    this.#channel = undefined;
    this.#opens.fail(error);
    for (const request of [...this.#requests.values()]) request.abort(error);
    // What came whole, and whose every octet was taken, needs no link to be read to its end.
    const taken = this.unacked === 0;
    for (const stream of [...this.#streams.values()]) if (!(taken && stream.complete)) stream.onReset(error.reason);
    this.#sender.outbox.clear();
  }

  // ---- streams

  /** Resolves when the app has accepted; the link has looked at its limits. */
  async open(port: number, timeoutMs: number, signal: AbortSignal | undefined): Promise<ByteStream> {
    const stream = this.#newStream(++this.#lastStream);
    const answer = this.#opens.answerTo(stream, timeoutMs, signal);
    stream.owe({ type: "open", stream: stream.id, port, window: stream.initialWindow });
    await answer;
    return stream;
  }

  #newStream(id: number): LinkStream {
    const stream = new LinkStream(id, this.#streamHost);
    this.#streams.set(id, stream);
    return stream;
  }

  #forget(stream: LinkStream): void {
    this.#streams.delete(stream.id);
    this.#requests.delete(stream.id);
    this.#sender.forget(stream);
    if (this.idle) this.#host.idle();
  }

  #lost(code: "carrier" | "dead", message: string): void {
    const silentMs = this.#keepAlive?.silentMs ?? 0;
    this.detach();
    this.#host.lost(this, code, message, silentMs);
  }

  // ---- receiving

  #onFrame(type: number, id: number, payload: Uint8Array, lease: Lease): Malformed | undefined {
    if (this.#ended) return undefined;
    if (isNumbered(type)) this.#receipts.taken(HEADER_LEN + payload.length);
    if (type === TYPE.DATA) {
      const stream = this.#answeredStream(id);
      return stream instanceof LinkStream ? stream.onData(payload, lease) : stream;
    }
    const frame = decodeFrame(type, id, payload);
    if (frame === undefined || isMalformed(frame)) return frame;
    return isNumbered(type) ? this.#onStreamFrame(frame) : this.#onLinkFrame(frame);
  }

  #onLinkFrame(frame: Frame): Malformed | undefined {
    switch (frame.type) {
      case "hello":
        return malformed("link.second-hello");
      case "goaway":
        this.#host.goaway(frame);
        return undefined;
      case "ack": {
        const bad = this.#sender.outbox.acknowledge(frame.received);
        if (bad === undefined) this.#sender.pump();
        if (this.idle) this.#host.idle();
        return bad;
      }
      case "ping":
        this.#sender.pong(frame.id);
        return undefined;
      case "pong": {
        const rtt = this.#keepAlive?.pong(frame.id);
        if (rtt !== undefined) this.#sender.outbox.rtt(rtt);
        this.#sender.outbox.calm(); // Pings go in silence only.
        return undefined;
      }
      default:
        return malformed("link.out-of-place"); // ATTACH and its answers begin a carrier.
    }
  }

  #onStreamFrame(frame: Frame): Malformed | undefined {
    switch (frame.type) {
      case "open":
        return this.#onOpenFrame(frame);
      case "opened":
      case "refused":
        return this.#onAnswer(frame);
      case "window": {
        const stream = this.#answeredStream(frame.stream);
        return stream instanceof LinkStream ? stream.onWindow(frame.offset) : stream;
      }
      case "fin": {
        const stream = this.#answeredStream(frame.stream);
        if (!(stream instanceof LinkStream)) return stream;
        if (!stream.onFin(frame.offset)) this.#brokenEnd(stream, frame.offset);
        return undefined;
      }
      case "reset": {
        const stream = this.#streamOf(frame.stream);
        if (!(stream instanceof LinkStream)) return stream;
        if (this.#opens.has(stream.id)) return malformed("link.unanswered");
        this.#requests.get(stream.id)?.abort(new Error("the client gave up"));
        stream.onReset(frame.reason);
        return undefined;
      }
      default:
        return malformed("link.out-of-place");
    }
  }

  #onAnswer(frame: Extract<Frame, { type: "opened" | "refused" }>): Malformed | undefined {
    const stream = this.#streamOf(frame.stream);
    if (!(stream instanceof LinkStream)) return stream;
    if (stream.dead) return undefined; // We gave up while the answer was on its way.
    return this.#opens.onAnswer(frame, stream);
  }

  #onOpenFrame(frame: Extract<Frame, { type: "open" }>): Malformed | undefined {
    const { onOpen, full, draining } = this.#host; // Before it counts itself.
    if (onOpen === undefined) return malformed("link.open-by-server");
    if (frame.stream <= this.#lastStream) return malformed("link.stream-order");
    // The client counts its own: one more is not a race but a breach.
    if (this.#requests.size >= MAX_UNANSWERED_OPENS) return malformed("link.open-flood");
    this.#lastStream = frame.stream;
    const stream = this.#newStream(frame.stream);
    const request = new Request(frame, stream);
    this.#requests.set(frame.stream, request);
    if (full) request.refuse("limit", "");
    else if (draining) request.refuse("draining", "");
    else onOpen(request);
    return undefined;
  }

  /** The final offset is not what came: the octets cannot be trusted to be whole. */
  #brokenEnd(stream: LinkStream, offset: number): void {
    this.#host.counters.count("link.fin-offset");
    this.#host.log.error({ stream: stream.id, offset }, "a stream's end does not match its octets");
    stream.fail("protocol");
  }

  /** A stream whose OPEN was answered; `undefined` for one that ended before. */
  #answeredStream(id: number): LinkStream | Malformed | undefined {
    const unanswered = this.#opens.has(id) || this.#requests.has(id);
    return unanswered ? malformed("link.unanswered") : this.#streamOf(id);
  }

  #streamOf(id: number): LinkStream | Malformed | undefined {
    const stream = this.#streams.get(id);
    if (stream === undefined && (id === 0 || id > this.#lastStream)) return malformed("link.unknown-stream");
    return stream;
  }
}
