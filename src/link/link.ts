import {
  assert,
  type ByteStream,
  isMalformed,
  type Lease,
  type Malformed,
  malformed,
  type Timer,
} from "../base/mod.ts";
import type { Carrier } from "./carrier.ts";
import { type CloseCode, resetReasonOf } from "./codes.ts";
import { CreditPool } from "./credit.ts";
import { LinkClosedError, LinkDrainingError, LinkLimitError } from "./errors.ts";
import { decodeFrame, encodeFrame, type Frame, isNumbered, TYPE } from "./frames.ts";
import { KeepAlive } from "./keep-alive.ts";
import {
  CLOSE_TIMEOUT_MS,
  HEADER_LEN,
  HELLO_TIMEOUT_MS,
  MAX_STREAMS,
  MAX_UNANSWERED_OPENS,
  OPEN_TIMEOUT_MS,
  VERSION_MAX,
  VERSION_MIN,
} from "./limits.ts";
import { PendingOpens, Request } from "./opens.ts";
import type { LinkOptions, LinkPeer, OpenRequest, ServerLinkOptions } from "./options.ts";
import { FrameReader } from "./reader.ts";
import { Receipts } from "./receipts.ts";
import { Sender } from "./sender.ts";
import { LinkStream, type StreamHost } from "./stream.ts";

/** What the peer can be told; the other codes say that it cannot be. */
type TellableCode = Exclude<CloseCode, "carrier" | "dead" | "timeout">;

export class Link implements AsyncDisposable {
  /** After the peer's HELLO; rejects with LinkClosedError (its `closeCode` is the peer's reason). */
  readonly ready: Promise<LinkPeer>;
  /** How the link ended. Never rejects. */
  readonly closed: Promise<LinkClosedError>;

  readonly #carrier: Carrier;
  readonly #options: LinkOptions;
  /** Set on the server's side. */
  readonly #onOpen: ((request: OpenRequest) => void) | undefined;
  readonly #sender: Sender;
  readonly #reader: FrameReader;
  readonly #receipts: Receipts;
  readonly #keepAlive: KeepAlive;
  readonly #host: StreamHost;
  readonly #streams = new Map<number, LinkStream>();
  readonly #opens: PendingOpens;
  readonly #requests = new Map<number, Request>();
  readonly #drainListeners: Array<() => void> = [];
  readonly #ready = Promise.withResolvers<LinkPeer>();
  readonly #closed = Promise.withResolvers<LinkClosedError>();
  readonly #helloTimer: Timer;
  #peer: LinkPeer | undefined;
  #end: LinkClosedError | undefined;
  #closeTimer: Timer | undefined;
  #lastStream = 0;
  #draining = false;

  static client(carrier: Carrier, options: LinkOptions): Link {
    return new Link(carrier, options, undefined);
  }

  static server(carrier: Carrier, options: ServerLinkOptions): Link {
    return new Link(carrier, options, (request) => options.onOpen(request));
  }

  private constructor(carrier: Carrier, options: LinkOptions, onOpen: ((request: OpenRequest) => void) | undefined) {
    assert(options.instance.length === 8, "an instance id has 8 octets");
    const { clock } = options;
    this.#carrier = carrier;
    this.#options = options;
    this.#onOpen = onOpen;
    this.ready = this.#ready.promise;
    this.closed = this.#closed.promise;
    this.ready.catch(() => {}); // Who does not wait for it learns of the end by `closed`.
    this.#reader = new FrameReader((type, stream, payload, lease) => this.#onFrame(type, stream, payload, lease));
    this.#receipts = new Receipts(clock, () => this.#sender.wake());
    this.#sender = new Sender({
      carrier,
      clock,
      receipts: this.#receipts,
      sent: (stream, frame) => {
        if (frame !== "open") this.#requests.delete(stream.id);
      },
    });
    this.#host = {
      pool: new CreditPool(),
      controlReady: (stream) => this.#sender.controlReady(stream),
      dataReady: (stream) => this.#sender.dataReady(stream),
      gone: (stream) => this.#forget(stream),
    };
    this.#opens = new PendingOpens(clock);
    this.#keepAlive = new KeepAlive(clock, {
      ping: (id) => this.#sender.ping(id),
      dead: () => this.#finish("dead", "nothing was heard from the other end"),
    });
    this.#helloTimer = clock.after(HELLO_TIMEOUT_MS, () => {
      if (this.#peer === undefined) this.#finish("timeout", "the other end did not introduce itself");
    });
    this.#start();
  }

  get streams(): number {
    return this.#streams.size;
  }

  /** Neither side takes new streams any more. */
  get draining(): boolean {
    return this.#draining;
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  onDraining(listener: () => void): void {
    this.#drainListeners.push(listener);
  }

  /**
   * A client's connection to the app. Rejects with LinkRefusedError,
   * LinkClosedError, LinkDrainingError, LinkOpenTimeoutError, LinkLimitError or
   * the signal's reason.
   */
  async open(port: number, o: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<ByteStream> {
    assert(this.#onOpen === undefined, "only clients open streams");
    o.signal?.throwIfAborted();
    if (this.#end) throw this.#end;
    if (this.#draining) throw new LinkDrainingError();
    if (this.#streams.size >= MAX_STREAMS) throw new LinkLimitError("open connections", MAX_STREAMS);
    if (this.#opens.size >= MAX_UNANSWERED_OPENS) {
      throw new LinkLimitError("connections being opened", MAX_UNANSWERED_OPENS);
    }
    const stream = this.#newStream(++this.#lastStream);
    const timeoutMs = o.timeoutMs ?? this.#options.openTimeoutMs ?? OPEN_TIMEOUT_MS;
    const answer = this.#opens.answerTo(stream, timeoutMs, o.signal);
    stream.owe({ type: "open", stream: stream.id, port, window: stream.initialWindow });
    await answer;
    return stream;
  }

  /** New streams are refused on both sides; the link ends with its last stream. */
  drain(): void {
    if (this.#end || this.#draining) return;
    this.#sender.outbox.unnumbered(encodeFrame({ type: "goaway", code: "drain", text: "" }));
    this.#sender.wake();
    this.#beginDraining();
  }

  /** Resets all streams and tells the peer why. */
  close(code: TellableCode, message = ""): void {
    this.#finish(code, message, code);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close("shutdown");
    await this.closed;
  }

  #start(): void {
    this.#carrier.start({
      data: (bytes, lease) => this.#onBytes(bytes, lease),
      writable: () => {
        this.#sender.pump();
        this.#sender.wake();
      },
      closed: (error) => {
        this.#closeTimer?.cancel();
        this.#finish("carrier", error ? `the connection failed: ${error.message}` : "the connection was closed");
      },
    });
    const { instance } = this.#options;
    this.#sender.outbox.unnumbered(
      encodeFrame({ type: "hello", minVersion: VERSION_MIN, maxVersion: VERSION_MAX, features: 0, instance }),
    );
    this.#keepAlive.ping();
  }

  #newStream(id: number): LinkStream {
    const stream = new LinkStream(id, this.#host);
    this.#streams.set(id, stream);
    return stream;
  }

  #forget(stream: LinkStream): void {
    this.#streams.delete(stream.id);
    this.#requests.delete(stream.id);
    this.#sender.forget(stream);
    if (this.#draining) this.#endWhenDrained();
  }

  // ---- receiving

  #onBytes(bytes: Uint8Array, lease: Lease): void {
    if (this.#end) return;
    this.#keepAlive.heard();
    const bad = this.#reader.push(bytes, lease);
    if (bad === undefined || this.#end) return;
    this.#options.counters.count(bad.malformed);
    this.#options.log.warn({ reason: bad.malformed }, "the other end of a link broke the protocol");
    this.#finish("protocol", `protocol violation: ${bad.malformed}`, "protocol");
  }

  #onFrame(type: number, id: number, payload: Uint8Array, lease: Lease): Malformed | undefined {
    if (this.#end) return undefined;
    if (isNumbered(type)) {
      if (this.#peer === undefined) return malformed("link.no-hello");
      this.#receipts.taken(HEADER_LEN + payload.length);
    }
    if (type === TYPE.DATA) {
      const stream = this.#answeredStream(id);
      return stream instanceof LinkStream ? stream.onData(payload, lease) : stream;
    }
    const frame = decodeFrame(type, id, payload);
    if (frame === undefined || isMalformed(frame)) return frame;
    return isNumbered(type) ? this.#onStreamFrame(frame) : this.#onLinkFrame(frame);
  }

  #onLinkFrame(frame: Frame): Malformed | undefined {
    if (this.#peer === undefined && frame.type !== "hello" && frame.type !== "goaway")
      return malformed("link.no-hello");
    switch (frame.type) {
      case "hello":
        return this.#onHello(frame);
      case "goaway":
        if (frame.code === "drain") this.#beginDraining();
        else this.#finish(frame.code, frame.text);
        return undefined;
      case "ack": {
        const bad = this.#sender.outbox.acknowledge(frame.received);
        if (bad === undefined) this.#sender.pump();
        return bad;
      }
      case "ping":
        this.#sender.pong(frame.id);
        return undefined;
      case "pong": {
        const rtt = this.#keepAlive.pong(frame.id);
        if (rtt !== undefined) this.#sender.outbox.rtt(rtt);
        return undefined;
      }
      default:
        return malformed("link.not-negotiated");
    }
  }

  #onHello(frame: Extract<Frame, { type: "hello" }>): Malformed | undefined {
    if (this.#peer) return malformed("link.second-hello");
    const version = Math.min(frame.maxVersion, VERSION_MAX);
    if (version < Math.max(frame.minVersion, VERSION_MIN)) {
      const theirs = `${frame.minVersion} to ${frame.maxVersion}`;
      const text = `no common link version: one side speaks ${theirs}, the other ${VERSION_MIN} to ${VERSION_MAX}; update the older`;
      this.#finish("version", text, "version");
      return undefined;
    }
    this.#peer = { version, instance: frame.instance.slice() };
    this.#helloTimer.cancel();
    this.#ready.resolve(this.#peer);
    this.#sender.start();
    return undefined;
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
        return malformed("link.not-negotiated");
    }
  }

  #onAnswer(frame: Extract<Frame, { type: "opened" | "refused" }>): Malformed | undefined {
    const stream = this.#streamOf(frame.stream);
    if (!(stream instanceof LinkStream)) return stream;
    if (stream.dead) return undefined; // We gave up while the answer was on its way.
    return this.#opens.onAnswer(frame, stream);
  }

  #onOpenFrame(frame: Extract<Frame, { type: "open" }>): Malformed | undefined {
    if (this.#onOpen === undefined) return malformed("link.open-by-server");
    if (frame.stream <= this.#lastStream) return malformed("link.stream-order");
    // The client counts its own: one more is not a race but a breach.
    if (this.#requests.size >= MAX_UNANSWERED_OPENS) return malformed("link.open-flood");
    this.#lastStream = frame.stream;
    const full = this.#streams.size >= MAX_STREAMS;
    const stream = this.#newStream(frame.stream);
    const request = new Request(frame, stream);
    this.#requests.set(frame.stream, request);
    if (full) request.refuse("limit", "");
    else if (this.#draining) request.refuse("draining", "");
    else this.#onOpen(request);
    return undefined;
  }

  /** The final offset is not what came: the octets cannot be trusted to be whole. */
  #brokenEnd(stream: LinkStream, offset: number): void {
    this.#options.counters.count("link.fin-offset");
    this.#options.log.error({ stream: stream.id, offset }, "a stream's end does not match its octets");
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

  // ---- the end

  #beginDraining(): void {
    if (this.#draining) return;
    this.#draining = true;
    for (const listener of this.#drainListeners) listener();
    this.#endWhenDrained();
  }

  #endWhenDrained(): void {
    // In a turn of its own: the caller may be in the middle of a frame.
    queueMicrotask(() => {
      if (this.#streams.size === 0) this.#finish("done", "drained", "done");
    });
  }

  /** `tell`: what the peer is told; absent where it knows or cannot hear. */
  #finish(code: CloseCode, message: string, tell?: TellableCode): void {
    if (this.#end) return;
    const end = new LinkClosedError(code, resetReasonOf(code), message);
    this.#end = end;
    this.#sender.stop();
    this.#receipts.stop();
    this.#keepAlive.stop();
    this.#helloTimer.cancel();
    if (tell !== undefined) {
      this.#sender.outbox.unnumbered(encodeFrame({ type: "goaway", code: tell, text: message }));
      this.#sender.outbox.flush();
    }
    this.#endCarrier(code);
    this.#ready.reject(end);
    this.#opens.fail(end);
    for (const request of [...this.#requests.values()]) request.abort(end);
    for (const stream of [...this.#streams.values()]) stream.onReset(end.reason);
    this.#closed.resolve(end);
  }

  #endCarrier(code: CloseCode): void {
    if (code === "carrier" || code === "dead") {
      this.#carrier.destroy();
      return;
    }
    this.#carrier.close();
    this.#closeTimer = this.#options.clock.after(CLOSE_TIMEOUT_MS, () => this.#carrier.destroy());
  }
}
