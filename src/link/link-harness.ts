import { createHash } from "node:crypto";
import {
  type ByteStream,
  type Chunk,
  type Clock,
  Counters,
  plainChunk,
  type ResetReason,
  type StreamHandler,
  silentLogger,
  systemClock,
} from "../base/mod.ts";
import type { LinkBudget } from "./budget.ts";
import { encodeFrame, type Frame } from "./frames.ts";
import { Link } from "./link.ts";
import { type MemoryCarrier, type MemoryCarrierOptions, memoryCarrierPair } from "./memory-carrier.ts";
import type { LinkOptions, OpenRequest } from "./options.ts";

/** Two links in one process, for tests. */
export interface LinkPair {
  client: Link;
  server: Link;
  clientCarrier: MemoryCarrier;
  serverCarrier: MemoryCarrier;
  counters: Counters;
  options: LinkOptions;
}

export function linkPair(o: {
  onOpen: (request: OpenRequest) => void;
  clock?: Clock;
  carrier?: MemoryCarrierOptions;
  record?: boolean;
  budgets?: { client: LinkBudget; server: LinkBudget };
}): LinkPair {
  const [clientCarrier, serverCarrier] = memoryCarrierPair(o.carrier);
  if (o.record) {
    clientCarrier.recorded = [];
    serverCarrier.recorded = [];
  }
  const counters = new Counters();
  const options = { clock: o.clock ?? systemClock, counters, log: silentLogger, instance: new Uint8Array(8) };
  const { budgets } = o;
  const client = Link.client(clientCarrier, { ...options, ...(budgets && { budget: budgets.client }) });
  const server = Link.server(serverCarrier, {
    ...options,
    ...(budgets && { budget: budgets.server }),
    onOpen: o.onOpen,
  });
  return { client, server, clientCarrier, serverCarrier, counters, options };
}

/** Writes `total` octets of a pattern as allowed, ends, and hashes what comes. */
export class Talker implements StreamHandler {
  readonly done: Promise<{ reset?: ResetReason }>;
  received = 0;
  sent = 0;
  allowance = 0;
  readonly #stream: ByteStream;
  readonly #total: number;
  readonly #autoCredit: number;
  readonly #in = createHash("sha256");
  readonly #out = createHash("sha256");
  readonly #settle: (end: { reset?: ResetReason }) => void;
  #ended = false;

  constructor(stream: ByteStream, o: { total?: number; credit?: number } = {}) {
    this.#stream = stream;
    this.#total = o.total ?? 0;
    this.#autoCredit = o.credit ?? 64 * 1024;
    const { promise, resolve } = Promise.withResolvers<{ reset?: ResetReason }>();
    this.done = promise;
    this.#settle = resolve;
    stream.open(this);
    if (this.#autoCredit > 0) stream.credit(this.#autoCredit);
    if (this.#total === 0) this.#end();
  }

  get hashIn(): string {
    return this.#in.copy().digest("hex");
  }
  get hashOut(): string {
    return this.#out.copy().digest("hex");
  }

  data(chunk: Chunk): void {
    this.received += chunk.bytes.length;
    this.#in.update(chunk.bytes);
    if (this.#autoCredit > 0) this.#stream.credit(chunk.bytes.length);
    chunk.release();
  }

  end(): void {
    this.#settle({});
  }

  reset(reason: ResetReason): void {
    this.#settle({ reset: reason });
  }

  writable(octets: number): void {
    this.allowance += octets;
    while (this.allowance > 0 && this.sent < this.#total) {
      const length = Math.min(this.allowance, this.#total - this.sent, 1 + (((this.sent * 7919) >>> 3) % 40_000));
      const bytes = new Uint8Array(length);
      for (let i = 0; i < length; i += 61) bytes[i] = (this.sent + i) * 31;
      this.#out.update(bytes);
      this.sent += length;
      this.allowance -= length;
      this.#stream.write(plainChunk(bytes));
    }
    if (this.sent === this.#total) this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stream.end();
  }
}

/** Sends back what comes, by credit; ends after the other end. */
export function echo(stream: ByteStream): void {
  stream.open({
    data: (chunk) => stream.write(chunk),
    end: () => stream.end(),
    reset: () => {},
    writable: (octets) => stream.credit(octets),
  });
}

/** A clock that only the test turns. */
export class TestClock implements Clock {
  #now = 0;
  #timers: Array<{ at: number; run: () => void }> = [];

  now(): number {
    return this.#now;
  }
  wallMs(): number {
    return 1.7e12 + this.#now;
  }
  after(delayMs: number, run: () => void): { cancel(): void } {
    const timer = { at: this.#now + delayMs, run };
    this.#timers.push(timer);
    return { cancel: () => this.#drop(timer) };
  }
  #drop(timer: { at: number }): void {
    this.#timers = this.#timers.filter((other) => other !== timer);
  }
  /** Lets time pass; octets cross between the steps. */
  async advance(ms: number, stepMs = 100): Promise<void> {
    for (const end = this.#now + ms; this.#now < end; ) {
      this.#now = Math.min(end, this.#now + stepMs);
      for (const timer of this.#timers.filter((each) => each.at <= this.#now)) {
        this.#drop(timer);
        timer.run();
      }
      await turns();
    }
  }
}

/** A peer that says what the test wants, good or bad, to a real link. */
export class RawPeer {
  readonly link: Link;
  readonly carrier: MemoryCarrier;
  readonly counters = new Counters();
  /** All that the link has sent. */
  heard = Buffer.alloc(0);

  private constructor(make: (carrier: MemoryCarrier, options: LinkOptions) => Link) {
    const [mine, theirs] = memoryCarrierPair();
    this.carrier = theirs;
    const tools = { clock: systemClock, counters: this.counters, log: silentLogger };
    this.link = make(theirs, { ...tools, instance: new Uint8Array(8) });
    mine.start({
      data: (bytes) => {
        this.heard = Buffer.concat([this.heard, bytes]);
      },
      writable: () => {},
      closed: () => mine.destroy(),
    });
    this.send = (...frames) =>
      mine.inject(Buffer.concat(frames.map((frame) => (frame instanceof Uint8Array ? frame : encodeFrame(frame)))));
  }

  readonly send: (...frames: Array<Frame | Uint8Array>) => void;

  static ofServer(onOpen: (request: OpenRequest) => void): RawPeer {
    return new RawPeer((carrier, options) => Link.server(carrier, { ...options, onOpen }));
  }

  static ofClient(): RawPeer {
    return new RawPeer((carrier, options) => Link.client(carrier, options));
  }

  /** Whether the link has sent exactly this frame. */
  heardFrame(frame: Frame): boolean {
    return this.heard.includes(encodeFrame(frame));
  }
}

/** Enough turns for frames to cross and be answered. */
export async function turns(count = 6): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
