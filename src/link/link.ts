import { assert, type ByteStream, isMalformed, type Malformed, malformed, type Timer } from "../base/mod.ts";
import { offerAttach } from "./attach-offer.ts";
import { attachProof, isProofGenuine, type LinkKeys, linkKeys } from "./attach-proof.ts";
import { LinkBudget } from "./budget.ts";
import type { Carrier } from "./carrier.ts";
import { Channel, type ChannelOwner } from "./channel.ts";
import { type CloseCode, resetReasonOf } from "./codes.ts";
import { CreditPool } from "./credit.ts";
import { LinkAttachError, LinkBudgetError, LinkClosedError, LinkDrainingError, LinkLimitError } from "./errors.ts";
import { decodeFrame, type Frame } from "./frames.ts";
import {
  HELLO_TIMEOUT_MS,
  MAX_STREAMS,
  MAX_TRANSPORTS,
  MAX_UNANSWERED_OPENS,
  MIN_SEND_QUEUE,
  OPEN_TIMEOUT_MS,
  REPLAY_LIMIT,
  SEND_BUDGET,
  SEND_QUEUE,
  VERSION_MAX,
  VERSION_MIN,
} from "./limits.ts";
import type { LinkOptions, LinkPeer, OpenRequest, ServerLinkOptions } from "./options.ts";
import { Transport, type TransportHost } from "./transport.ts";

/** What the peer can be told; the other codes say that it cannot be. */
type TellableCode = Exclude<CloseCode, "carrier" | "dead" | "timeout" | "gone">;
type Attach = Extract<Frame, { type: "attach" }>;
type Hello = Extract<Frame, { type: "hello" }>;

/** What became of a carrier. */
export interface LinkEvents {
  /** A transport has no carrier any more, and heard nothing for `silentMs` before; `attach` another, or the link ends after `resumeMs`. */
  detached?(transport: number, silentMs: number, message: string): void;
  /** It has one again. */
  attached?(transport: number): void;
  /** Its carrier has carried much: `attach` another in its place. */
  worn?(transport: number): void;
}

/**
 * Streams between a client and one agent process. It outlives its carriers: a
 * transport that has lost one keeps its streams, and what the peer has not
 * taken, for `resumeMs`.
 */
export class Link implements AsyncDisposable {
  /** After the peer's HELLO; rejects with LinkClosedError (its `closeCode` is the peer's reason). */
  readonly ready: Promise<LinkPeer>;
  /** How the link ended. Never rejects. */
  readonly closed: Promise<LinkClosedError>;

  readonly #options: LinkOptions;
  readonly #budget: LinkBudget;
  readonly #host: TransportHost;
  readonly #keys: LinkKeys;
  readonly #transports: Transport[] = [];
  readonly #windows = new Map<Transport, Timer>();
  readonly #drainListeners: Array<() => void> = [];
  readonly #ready = Promise.withResolvers<LinkPeer>();
  readonly #closed = Promise.withResolvers<LinkClosedError>();
  readonly #isServer: boolean;
  readonly #helloTimer: Timer;
  /** Until the peer's HELLO. */
  #greeting: Channel | undefined;
  #peer: LinkPeer | undefined;
  #events: LinkEvents = {};
  #end: LinkClosedError | undefined;
  #draining = false;
  #detachedAt: number | undefined;
  #attachedAgain: PromiseWithResolvers<void> | undefined;

  static client(carrier: Carrier, options: LinkOptions): Link {
    return new Link((owner) => new Channel(carrier, options.clock, owner), options, undefined);
  }

  static server(carrier: Carrier, options: ServerLinkOptions): Link {
    return Link.serverOn((owner) => new Channel(carrier, options.clock, owner), options);
  }

  /** For a carrier that is in use already; its first frame is the next that `owner` gets. */
  static serverOn(take: (owner: ChannelOwner) => Channel, options: ServerLinkOptions): Link {
    return new Link(take, options, (request) => options.onOpen(request));
  }

  private constructor(
    take: (owner: ChannelOwner) => Channel,
    options: LinkOptions,
    onOpen: ((request: OpenRequest) => void) | undefined,
  ) {
    assert(options.instance.length === 8, "an instance id has 8 octets");
    this.#options = options;
    this.#budget = options.budget ?? new LinkBudget();
    if (this.#budget.full) throw new LinkBudgetError(`${this.#budget.maxLinks} links`);
    this.#isServer = onOpen !== undefined;
    this.ready = this.#ready.promise;
    this.closed = this.#closed.promise;
    this.ready.catch(() => {}); // Who does not wait for it learns of the end by `closed`.
    this.#host = this.#hostOf(onOpen);
    this.#transports.push(new Transport(0, this.#host));
    this.#helloTimer = options.clock.after(HELLO_TIMEOUT_MS, () => {
      this.#finish("timeout", "the other end did not introduce itself");
    });
    const channel = take(this.#greeter());
    this.#greeting = channel;
    this.#keys = linkKeys(channel.binding);
    const { instance, resumeMs = 0, transports = 1 } = options;
    const versions = { minVersion: VERSION_MIN, maxVersion: VERSION_MAX, features: 0 };
    channel.say({ type: "hello", ...versions, instance, resumeMs, transports });
  }

  /** 32 hexadecimal digits, the same at both ends. */
  get id(): string {
    return Buffer.from(this.#keys.id).toString("hex");
  }

  get streams(): number {
    return this.#transports.reduce((sum, { streams }) => sum + streams, 0);
  }

  /** Neither side takes new streams any more. */
  get draining(): boolean {
    return this.#draining;
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** Some transport has a carrier. */
  get attached(): boolean {
    return this.#peer === undefined || this.#transports.some(({ attached }) => attached);
  }

  /** Resolves when some transport has a carrier; rejects with the link's end. */
  whenAttached(): Promise<void> {
    if (this.#end) return Promise.reject(this.#end);
    if (this.attached) return Promise.resolve();
    this.#attachedAgain ??= Promise.withResolvers<void>();
    return this.#attachedAgain.promise;
  }

  /** Since when no transport has a carrier (monotonic). */
  get detachedAt(): number | undefined {
    return this.#detachedAt;
  }

  /** Octets kept for the peer and for readers. */
  get heldOctets(): number {
    return this.#transports.reduce((sum, { heldOctets }) => sum + heldOctets, 0);
  }

  /** Octets kept for the peer alone. */
  get unackedOctets(): number {
    return this.#transports.reduce((sum, { unacked }) => sum + unacked, 0);
  }

  /** Nothing would be lost with it. */
  get #idle(): boolean {
    return this.#transports.every(({ idle }) => idle);
  }

  /** What a stream's transport may be; more are made by `attach`. */
  get maxTransports(): number {
    return this.#peer?.transports ?? 1;
  }

  onDraining(listener: () => void): void {
    this.#drainListeners.push(listener);
  }

  /** Who brings new carriers hears of the old ones; one listener. */
  onCarriers(events: LinkEvents): void {
    this.#events = events;
  }

  /**
   * A client's connection to the app. Rejects with LinkRefusedError,
   * LinkClosedError, LinkDrainingError, LinkOpenTimeoutError, LinkLimitError or
   * the signal's reason.
   */
  async open(port: number, o: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<ByteStream> {
    assert(!this.#isServer, "only clients open streams");
    o.signal?.throwIfAborted();
    if (this.#end) throw this.#end;
    if (this.#draining) throw new LinkDrainingError();
    if (this.streams >= MAX_STREAMS) throw new LinkLimitError("open connections", MAX_STREAMS);
    if (this.#host.pool.exhausted) throw new LinkBudgetError("promised all the memory that it has");
    if (this.#transports.reduce((sum, { unanswered }) => sum + unanswered, 0) >= MAX_UNANSWERED_OPENS) {
      throw new LinkLimitError("connections being opened", MAX_UNANSWERED_OPENS);
    }
    const timeoutMs = o.timeoutMs ?? this.#options.openTimeoutMs ?? OPEN_TIMEOUT_MS;
    return this.#leastLoaded().open(port, timeoutMs, o.signal);
  }

  /** New streams are refused on both sides; the link ends with its last stream. */
  drain(): void {
    if (this.#end || this.#draining) return;
    for (const transport of this.#transports) if (transport.attached) transport.say(GOAWAY_DRAIN);
    this.#beginDraining(); // Carriers to come are told as they come.
  }

  /** Resets all streams and tells the peer why. */
  close(code: TellableCode, message = ""): void {
    this.#finish(code, message, code);
  }

  /** Whoever looked for a carrier has found that there will be none. */
  giveUp(message: string): void {
    this.#finish("gone", message);
  }

  /** Of a transport: "none" where it was never made. */
  stateOf(transport: number): "attached" | "detached" | "none" {
    const known = this.#transports[transport];
    if (known === undefined) return "none";
    return known.attached ? "attached" : "detached";
  }

  /** The network has changed: carriers without a sign of life soon are given up. */
  probe(): void {
    for (const transport of this.#transports) transport.probe();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close("shutdown");
    await this.closed;
  }

  // ---- carriers after the first

  /**
   * The client's: goes on over `carrier`, in place of the present one if there
   * is one. `transport` is one that the link has, or the next. Rejects with
   * LinkAttachError where another carrier may succeed, LinkClosedError at the
   * link's end.
   */
  attach(id: number, carrier: Carrier): Promise<void> {
    assert(!this.#isServer && this.#peer !== undefined && id <= this.#transports.length, "nothing to attach to");
    if (this.#end) return Promise.reject(this.#end);
    const transport = this.#transports[id] ?? new Transport(id, this.#host);
    // Nothing of the old carrier counts from here on: `received` is final.
    const received = transport.detach();
    const claim = { transport: id, generation: ++transport.generation, received };
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const failed = (message: string) => {
      reject(this.#end ?? new LinkAttachError(message));
      if (this.#transports.includes(transport) && !transport.attached) this.#lost(transport, "carrier", message);
    };
    offerAttach(carrier, this.#options.clock, {
      keys: this.#keys,
      claim,
      attached: (channel, taken) => {
        if (this.#end || transport.generation !== claim.generation) {
          channel.destroy();
          failed("another connection was faster");
          return undefined;
        }
        const bad = this.#begin(transport, channel, taken);
        if (bad !== undefined) this.#broken(bad);
        if (this.#end) reject(this.#end);
        else resolve();
        return undefined;
      },
      ended: (code, message) => {
        this.#finish(code, message);
        failed(message);
      },
      failed,
    });
    return promise;
  }

  /** Whether an ATTACH that came over a carrier with this binding is by this link's client. */
  isGenuine(frame: Attach, binding: Uint8Array): boolean {
    return isProofGenuine(frame.proof, attachProof(this.#keys, "attach", binding, frame));
  }

  /** The agent's: a genuine ATTACH came over `channel`. False where that is stale or has no place here. */
  reattach(channel: Channel, frame: Attach): boolean {
    if (this.#end || this.#peer === undefined || frame.transport > this.#transports.length) return false;
    if (frame.transport >= this.maxTransports) return false;
    const transport = this.#transports[frame.transport] ?? new Transport(frame.transport, this.#host);
    if (frame.generation <= transport.generation) return false;
    transport.generation = frame.generation;
    const received = transport.detach();
    const { generation } = frame;
    const claim = { transport: frame.transport, generation, received };
    channel.say({ type: "attached", received, proof: attachProof(this.#keys, "attached", channel.binding, claim) });
    const bad = this.#begin(transport, channel, frame.received);
    if (bad !== undefined) this.#broken(bad);
    return true;
  }

  #begin(transport: Transport, channel: Channel, received: number): Malformed | undefined {
    if (!this.#transports.includes(transport)) this.#transports.push(transport);
    const bad = transport.attach(channel, received);
    if (bad !== undefined) return bad;
    this.#windows.get(transport)?.cancel();
    this.#windows.delete(transport);
    this.#detachedAt = undefined;
    this.#attachedAgain?.resolve();
    this.#attachedAgain = undefined;
    if (this.#draining) transport.say(GOAWAY_DRAIN); // It is not replayed.
    this.#events.attached?.(transport.id);
    return undefined;
  }

  /**
   * The carrier of a transport is gone. A link that nobody would miss ends with
   * it at the client only: the agent cannot know whether its last
   * acknowledgement has arrived, and a client that lacks it comes back for it.
   */
  #lost(transport: Transport, code: "carrier" | "dead", message: string, silentMs = 0): void {
    if (this.#end) return;
    const { clock } = this.#options;
    const resumeMs = this.#peer?.resumeMs ?? 0;
    const missed = !this.#idle || (this.#isServer && !this.#draining);
    if (resumeMs === 0 || (!this.attached && !missed)) {
      this.#finish(code, message);
      return;
    }
    if (!this.attached) this.#detachedAt ??= clock.now();
    if (this.#windows.has(transport)) return; // Lost before; one more attempt has failed.
    const over = `${message}, and there was no other within ${resumeMs / 1000} s`;
    this.#windows.set(
      transport,
      clock.after(resumeMs, () => this.#finish(code, over)),
    );
    this.#options.log.debug({ link: this.id, transport: transport.id, message }, "a link has lost its connection");
    this.#events.detached?.(transport.id, silentMs, message);
  }

  // ---- the beginning

  #greeter(): ChannelOwner {
    return {
      frame: (type, stream, payload) => {
        const frame = decodeFrame(type, stream, payload);
        if (frame === undefined || isMalformed(frame)) return frame;
        if (frame.type === "hello") return this.#onHello(frame);
        if (frame.type !== "goaway") return malformed("link.no-hello");
        this.#onGoaway(frame);
        return undefined;
      },
      heard: () => {},
      writable: () => {},
      broken: (bad) => this.#broken(bad),
      ended: (message) => this.#finish("carrier", message),
      worn: () => {},
    };
  }

  #onHello(frame: Hello): Malformed | undefined {
    const version = Math.min(frame.maxVersion, VERSION_MAX);
    if (version < Math.max(frame.minVersion, VERSION_MIN)) {
      const theirs = `${frame.minVersion} to ${frame.maxVersion}`;
      const text = `no common link version: one side speaks ${theirs}, the other ${VERSION_MIN} to ${VERSION_MAX}; update the older`;
      this.#finish("version", text, "version");
      return undefined;
    }
    const { resumeMs = 0, transports = 1 } = this.#options;
    this.#peer = {
      version,
      instance: frame.instance.slice(),
      resumeMs: Math.min(frame.resumeMs, resumeMs),
      transports: Math.max(1, Math.min(frame.transports, transports, MAX_TRANSPORTS)),
    };
    this.#helloTimer.cancel();
    const channel = this.#greeting!;
    this.#greeting = undefined;
    const bad = this.#begin(this.#transports[0]!, channel, 0);
    this.#ready.resolve(this.#peer);
    return bad;
  }

  #hostOf(onOpen: ((request: OpenRequest) => void) | undefined): TransportHost {
    const { clock, counters, log } = this.#options;
    const link = this;
    const pool = new CreditPool(this.#budget.credit.join());
    return {
      clock,
      counters,
      log,
      pool,
      replay: this.#budget.replay,
      get replayLimit() {
        return REPLAY_LIMIT / link.maxTransports;
      },
      onOpen,
      get draining() {
        return link.#draining;
      },
      get sendQueue() {
        return Math.min(SEND_QUEUE, Math.max(MIN_SEND_QUEUE, Math.floor(SEND_BUDGET / Math.max(1, link.streams))));
      },
      get full() {
        return link.streams >= MAX_STREAMS || pool.exhausted;
      },
      goaway: (frame) => this.#onGoaway(frame),
      broken: (bad) => this.#broken(bad),
      lost: (transport, code, message, silentMs) => this.#lost(transport, code, message, silentMs),
      worn: (transport) => this.#events.worn?.(transport.id),
      idle: () => {
        if (this.#draining) this.#endWhenDrained();
      },
    };
  }

  /** Fewest octets on their way, in steps that small talk does not reach; then fewest streams. One without a carrier comes last. */
  #leastLoaded(): Transport {
    const rank = ({ attached, unacked, streams }: Transport) =>
      (attached ? 0 : 2 ** 40) + Math.floor(unacked / 65_536) * MAX_STREAMS + streams;
    return this.#transports.reduce((best, each) => (rank(each) < rank(best) ? each : best));
  }

  #onGoaway(frame: Extract<Frame, { type: "goaway" }>): void {
    if (frame.code === "drain") this.#beginDraining();
    else this.#finish(frame.code, frame.text);
  }

  // ---- the end

  #broken({ malformed: reason }: Malformed): void {
    if (this.#end) return;
    this.#options.counters.count(reason);
    this.#options.log.warn({ reason }, "the other end of a link broke the protocol");
    this.#finish("protocol", `protocol violation: ${reason}`, "protocol");
  }

  #beginDraining(): void {
    if (this.#draining) return;
    this.#draining = true;
    for (const listener of this.#drainListeners) listener();
    this.#endWhenDrained();
  }

  #endWhenDrained(): void {
    // In a turn of its own: the caller may be in the middle of a frame.
    queueMicrotask(() => {
      if (this.#idle) this.#finish("done", "drained", "done");
    });
  }

  /** `tell`: what the peer is told; absent where it knows or cannot hear. */
  #finish(code: CloseCode, message: string, tell?: TellableCode): void {
    if (this.#end) return;
    const end = new LinkClosedError(code, resetReasonOf(code), message);
    this.#end = end;
    this.#helloTimer.cancel();
    for (const timer of this.#windows.values()) timer.cancel();
    const cut = code === "carrier" || code === "dead";
    const last: Frame | undefined = tell && { type: "goaway", code: tell, text: message };
    if (this.#greeting) endGreeting(this.#greeting, cut, last);
    this.#ready.reject(end);
    this.#attachedAgain?.reject(end);
    for (const transport of this.#transports) transport.end(end, cut, last);
    this.#host.pool.end();
    this.#closed.resolve(end);
  }
}

const GOAWAY_DRAIN: Frame = { type: "goaway", code: "drain", text: "" };

function endGreeting(channel: Channel, cut: boolean, last: Frame | undefined): void {
  if (last) channel.say(last);
  if (cut) channel.destroy();
  else channel.close();
}
