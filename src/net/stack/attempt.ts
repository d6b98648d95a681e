import type { ByteStream, Chunk } from "../../base/mod.ts";
import { openPassive, type SynOffer, seq, type TcbOptions } from "../tcp/mod.ts";
import { ACK, RST, SYN, type TcpSegment } from "../wire/mod.ts";
import { Connection } from "./connection.ts";
import type { Due } from "./deadlines.ts";
import { type Flow, localOf, remoteOf, type Tuple } from "./flow-table.ts";
import type { Host } from "./host.ts";
import { ATTEMPT_TIMEOUT_MS } from "./limits.ts";
import type { Endpoint, TcpAttempt } from "./types.ts";

/** A SYN that waits for its answer. The same SYN again is absorbed: the client only asks whether we are there. */
export class Attempt implements TcpAttempt, Flow, Due {
  readonly tuple: Tuple;
  readonly #host: Host;
  #offer: SynOffer;
  readonly #tcbOptions: () => TcbOptions;
  #state: "held" | "answered" | "aborted" = "held";
  #abort: AbortController | undefined;
  nextFlow: Flow | undefined;
  dueMs = 0;
  heap: Due["heap"];

  constructor(host: Host, tuple: Tuple, offer: SynOffer, tcbOptions: () => TcbOptions) {
    this.#host = host;
    this.tuple = tuple;
    this.#offer = offer;
    this.#tcbOptions = tcbOptions;
    host.deadlines.set(this, host.now() + ATTEMPT_TIMEOUT_MS);
  }

  get local(): Endpoint {
    return localOf(this.tuple);
  }

  get remote(): Endpoint {
    return remoteOf(this.tuple);
  }

  /** Made when it is asked for: many attempts are answered before anybody does. */
  get aborted(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#state === "aborted") this.#abort.abort();
    }
    return this.#abort.signal;
  }

  accept(): ByteStream {
    const tcb = openPassive(this.#tcbOptions(), this.#offer);
    const connection = new Connection(this.#host, this.tuple, tcb);
    if (this.#state !== "held") return connection.stillborn();
    this.#leave("answered", connection);
    connection.flush(this.#host.now());
    return connection;
  }

  refuse(): void {
    if (this.#state !== "held") return;
    this.#sendRst();
    this.#leave("answered", undefined);
  }

  unreachable(reason: "address" | "prohibited"): void {
    if (this.#state !== "held") return;
    this.#host.unreachable(reason, this.tuple, this.#offer);
    this.#leave("answered", undefined);
  }

  segment(seg: TcpSegment, text: Chunk | undefined): void {
    text?.release();
    if (seg.flags & RST) {
      // Nothing was acknowledged yet, so that the client can only stand right behind its SYN.
      if (seg.seq === this.#offer.seq || seg.seq === seq.add(this.#offer.seq, 1)) this.#leave("aborted", undefined);
    } else if (seg.flags & ACK) {
      // Half-open at the client: as in LISTEN (RFC 9293 §3.10.7.2, third).
      this.#host.reject(this.tuple, seg, 0);
    } else if (seg.flags & SYN) {
      this.#host.count("tcp.syn-absorbed");
      // What is echoed is the last one: else the client would measure from the first (RFC 7323 §4.3).
      if (seg.tsVal >= 0 && this.#offer.tsVal >= 0) this.#offer = { ...this.#offer, tsVal: seg.tsVal };
    }
  }

  /** Another SYN on the same endpoints: the client has given this one up. */
  makesWayFor(seg: TcpSegment): boolean {
    return (seg.flags & (SYN | ACK | RST)) === SYN && seg.seq !== this.#offer.seq;
  }

  expired(): void {
    this.shutdown();
  }

  shutdown(): void {
    this.#sendRst();
    this.#leave("aborted", undefined);
  }

  /** Gives up without a word on the wire. */
  abandon(): void {
    this.#leave("aborted", undefined);
  }

  #sendRst(): void {
    this.#host.reject(this.tuple, { seq: this.#offer.seq, ack: 0, flags: SYN }, 0);
  }

  #leave(state: "answered" | "aborted", successor: Flow | undefined): void {
    this.#state = state;
    this.#host.deadlines.delete(this);
    this.#host.replace(this, successor);
    if (state === "aborted") this.#abort?.abort();
  }
}
