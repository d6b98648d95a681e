import { assert, type ByteStream, type Chunk, type ResetReason, type StreamHandler } from "../../base/mod.ts";
import {
  afterCredit,
  arrival,
  arrive,
  bareSeq,
  close,
  deadline,
  expire,
  limits,
  lowerMss,
  output,
  releaseBlocks,
  resendFirst,
  type SegmentSink,
  type Sendable,
  sackEdges,
  sendAck,
  seq,
  type Tcb,
  tsValue,
} from "../tcp/mod.ts";
import {
  ACK,
  IP4_HEADER_LEN,
  IP6_HEADER_LEN,
  NO_OPTIONS,
  RST,
  SACK_BLOCKS_MAX,
  SYN,
  TCP_HEADER_LEN,
  type TcpSegment,
} from "../wire/mod.ts";
import type { Due } from "./deadlines.ts";
import type { Flow, Tuple } from "./flow-table.ts";
import type { Flushable, Host } from "./host.ts";
import type { PathProblem } from "./icmp-input.ts";
import { PATH_MTU_MIN } from "./limits.ts";
import type { Sender } from "./send-share.ts";
import { TimeWait } from "./time-wait.ts";

/** Told once how an active open ended; `undefined`: established. */
export type Settled = (failure: ResetReason | undefined) => void;

/** A TCP connection as a byte stream: feeds the TCB and does what it says. */
export class Connection implements ByteStream, Flow, Due, Flushable, Sender, SegmentSink {
  readonly tuple: Tuple;
  readonly #host: Host;
  readonly #tcb: Tcb;
  #handler: StreamHandler | undefined;
  #settled: Settled | undefined;
  /** Octets that the consumer may still write. */
  #allowance = 0;
  #delivering = false;
  /** `end` was delivered. */
  #readEnded = false;
  /** `end` was called. */
  #writeEnded = false;
  /** Has left the stack's table. What the consumer has not taken yet is still here. */
  #offWire = false;
  #toldReset = false;
  /** Why the stream died before both ends; "local": the consumer's own `reset`. */
  #dead: ResetReason | "local" | undefined;

  nextFlow: Flow | undefined;
  marked = false;
  period = 0;
  dueMs: Due["dueMs"];
  heap: Due["heap"];

  constructor(host: Host, tuple: Tuple, tcb: Tcb, settled?: Settled) {
    this.#host = host;
    this.tuple = tuple;
    this.#tcb = tcb;
    this.#settled = settled;
  }

  // The consumer's side.

  open(handler: StreamHandler): void {
    assert(this.#handler === undefined, "a stream is opened once");
    this.#handler = handler;
    queueMicrotask(() => this.#opened());
  }

  credit(octets: number): void {
    if (this.#isOver()) return;
    this.#tcb.rcv.credit += octets;
    this.#deliver();
    const { rcv } = this.#tcb;
    const worth = afterCredit(this.#tcb);
    if (worth === "none") return;
    if (rcv.ack !== "now") rcv.ack = worth;
    if (worth === "owed") this.#host.mark(this);
    else if (!this.#host.markForTurnEnd(this)) this.#touch();
  }

  write(chunk: Chunk): void {
    if (this.#isOver()) {
      chunk.release();
      return;
    }
    const { length } = chunk.bytes;
    assert(!this.#writeEnded, "write after end");
    assert(length <= this.#allowance, "write beyond the allowance");
    this.#allowance -= length;
    const { queue } = this.#tcb.snd;
    if (length <= limits.GATHER_BREAK && queue.octets > 0) queue.gather(chunk);
    else queue.push(chunk);
    const now = this.#host.now();
    this.#host.sendShare.wrote(this, now);
    if (length < limits.BULK_WRITE || this.#host.inBurst || !this.#host.markForTurnEnd(this)) this.#touch();
    else this.flush(now, "whole-frames");
  }

  end(): void {
    if (this.#isOver() || this.#writeEnded) return;
    this.#writeEnded = true;
    close(this.#tcb);
    this.#touch();
  }

  reset(_reason: ResetReason): void {
    if (this.#isOver()) return;
    this.#abort("local");
  }

  // The stack's side.

  segment(seg: TcpSegment, text: Chunk | undefined, now: number): void {
    const tcb = this.#tcb;
    tcb.timer.heardAtMs = Math.floor(now);
    tcb.timer.keepAlives = 0;
    const result = arrive(tcb, seg, text, now);
    if (result & arrival.RESET) {
      this.#die(tcb.snd.una === tcb.snd.iss && tcb.active ? "refused" : "peer");
      return;
    }
    if (result & arrival.STRAY) this.#host.count("tcp.no-timestamp");
    if (result & arrival.REPLY_RST) this.#sendRst(seg.ack, 0, RST);
    if (result & arrival.CHALLENGE && this.#host.mayChallenge(now)) sendAck(tcb, this);
    if (result & arrival.GAP) sendAck(tcb, this);
    if (result & arrival.ESTABLISHED) this.#established();
    if (result & arrival.ACKED) this.#grant();
    if (result & (arrival.TEXT | arrival.FIN)) this.#deliver();
    if (this.#dead !== undefined) return; // the consumer has reset it meanwhile
    if (result & arrival.LOST) {
      this.#host.count("tcp.fast-retransmit");
      if (tcb.snd.board === undefined) resendFirst(tcb, now, this);
    }
    if (tcb.rcv.unacked >= limits.ACK_OCTETS) this.flush(now);
    else this.#touch();
  }

  flush(now: number, what: Sendable = "all"): void {
    if (this.#offWire) return;
    const tcb = this.#tcb;
    output(tcb, now, this, what);
    if (tcb.state === "TIME-WAIT") this.#leave(new TimeWait(this.#host, this.tuple, tcb, now));
    else if (tcb.state === "CLOSED") this.#leave(undefined);
    else this.#host.deadlines.set(this, deadline(tcb));
  }

  expired(now: number): void {
    const tcb = this.#tcb;
    const { timer } = tcb;
    if (timer.atMs <= now && !timer.persist) this.#host.count("tcp.retransmission-timeout");
    else if (timer.tailAtMs > 0 && timer.tailAtMs <= now) this.#host.count("tcp.tail-probe");
    if (expire(tcb, now, this) === "dead") {
      this.#host.count("tcp.gave-up");
      this.#sendRst(bareSeq(tcb), tcb.rcv.nxt, RST | ACK);
      this.#die(tcb.softError ? "unreachable" : "timeout");
    } else {
      this.flush(now);
    }
  }

  /** An ICMP error about a segment of ours. False: not one that is in flight. */
  problem(problem: PathProblem, now: number): boolean {
    const tcb = this.#tcb;
    const { snd } = tcb;
    if (this.#offWire || seq.lt(problem.seq, snd.una) || seq.ge(problem.seq, snd.max)) return false;
    if (problem.kind === "too-big") {
      const headers = this.tuple.length === 12 ? IP4_HEADER_LEN : IP6_HEADER_LEN;
      const mtu = Math.max(PATH_MTU_MIN[tcb.ipVersion], problem.mtu);
      if (!lowerMss(tcb, mtu - headers - TCP_HEADER_LEN)) return false;
      this.flush(now);
    } else if (problem.kind === "refused" && tcb.state === "SYN-SENT") {
      tcb.state = "CLOSED";
      this.#die("refused");
    } else {
      // A soft error: told if nothing better comes (RFC 9293 §3.9.2.2, RFC 5461 §4).
      tcb.softError = true;
    }
    return true;
  }

  /** The stack ends: RST to the peer, and the consumer is told. */
  shutdown(): void {
    if (this.#isOver()) this.#abort("local");
    else this.#abort("shutdown");
  }

  /** Makes room in a table that is full of clients who do not answer. */
  evict(): void {
    this.#host.count("tcp.half-open-evicted");
    this.#abort("timeout");
  }

  get isHalfOpen(): boolean {
    return this.#tcb.state === "SYN-RECEIVED" && !this.#tcb.active;
  }

  /** A stream that was dead before it was born: says so once it is opened. */
  stillborn(): this {
    this.#tcb.state = "CLOSED";
    this.#dead = "peer";
    this.#offWire = true;
    return this;
  }

  /** The TCB's segments on their way out. */
  send(tcb: Tcb, seqno: number, flags: number, wnd: number, textAt: number, textLen: number): void {
    const { snd, rcv, ts } = tcb;
    const syn = (flags & SYN) !== 0;
    // Only beside no text: a full segment has no room for it.
    const limit = ts === undefined ? SACK_BLOCKS_MAX : SACK_BLOCKS_MAX - 1;
    const sack = rcv.recent && textLen === 0 ? sackEdges(rcv.outOfOrder, rcv.recent, limit) : undefined;
    this.#host.writer.tcp(this.tuple, {
      seq: seqno,
      ack: flags & ACK ? rcv.nxt : 0,
      flags,
      wnd,
      mss: syn ? tcb.rcvMss : undefined,
      windowScale: syn && rcv.offerScale ? limits.RECEIVE_WINDOW_SCALE : undefined,
      sackPermitted: syn && rcv.offerSack,
      tsVal: ts === undefined ? -1 : tsValue(ts, this.#host.now()),
      tsEcr: ts !== undefined && flags & ACK ? ts.recent : 0,
      sack,
      text: snd.queue,
      textAt,
      textLen,
      segmentLen: snd.mss,
    });
  }

  /** Both directions have ended, or the stream died: the consumer hears no more. */
  #isOver(): boolean {
    return this.#dead !== undefined || (this.#readEnded && this.#writeEnded);
  }

  #opened(): void {
    if (this.#dead !== undefined) {
      if (this.#dead !== "local" && !this.#toldReset) this.#handler?.reset(this.#dead);
      return;
    }
    if (this.#tcb.state !== "SYN-RECEIVED") this.#grant();
    this.#deliver();
  }

  #established(): void {
    this.#host.established(this);
    this.#settled?.(undefined);
    this.#settled = undefined;
    this.#grant();
  }

  /** Tells the consumer of room in the send buffer. */
  #grant(): void {
    if (this.#handler === undefined || this.#writeEnded || this.#dead !== undefined) return;
    const octets = this.#host.sendShare.octets - this.#tcb.snd.queue.octets - this.#allowance;
    if (octets <= 0) return;
    this.#allowance += octets;
    this.#handler.writable(octets);
  }

  /** Hands over what the credit allows, and then the end. */
  #deliver(): void {
    const { rcv } = this.#tcb;
    if (this.#handler === undefined || this.#delivering || this.#isOver()) return;
    this.#delivering = true; // the consumer may grant credit from within `data`
    while (rcv.queue.octets > 0 && rcv.credit > 0 && this.#dead === undefined) {
      const chunk = rcv.queue.take(rcv.credit);
      rcv.credit -= chunk.bytes.length;
      this.#handler.data(chunk);
    }
    this.#delivering = false;
    if (this.#dead !== undefined || this.#readEnded || !rcv.finTaken || rcv.queue.octets > 0) return;
    this.#readEnded = true;
    this.#handler.end();
  }

  /** Something may have to be sent. */
  #touch(): void {
    if (this.#host.inBurst) this.#host.mark(this);
    else this.flush(this.#host.now());
  }

  #abort(reason: ResetReason | "local"): void {
    const { state } = this.#tcb;
    if (!this.#offWire && state !== "SYN-SENT") {
      this.#sendRst(bareSeq(this.#tcb), this.#tcb.rcv.nxt, RST | ACK);
    }
    this.#tcb.state = "CLOSED";
    this.#die(reason);
  }

  #die(reason: ResetReason | "local"): void {
    const silent = this.#isOver();
    this.#dead = reason;
    const { snd, rcv } = this.#tcb;
    snd.queue.clear();
    rcv.queue.clear();
    releaseBlocks(rcv.outOfOrder);
    this.#leave(undefined);
    if (reason === "local") return;
    this.#settled?.(reason);
    this.#settled = undefined;
    if (silent || this.#handler === undefined) return;
    this.#toldReset = true;
    this.#handler.reset(reason);
  }

  #leave(successor: Flow | undefined): void {
    if (this.#offWire) return;
    this.#offWire = true;
    this.#host.deadlines.delete(this);
    this.#host.replace(this, successor);
  }

  #sendRst(seqno: number, ack: number, flags: number): void {
    this.#host.writer.tcp(this.tuple, { ...RESET_SEGMENT, seq: seqno, ack, flags });
  }
}

const RESET_SEGMENT = {
  ...NO_OPTIONS,
  wnd: 0,
  text: undefined,
  textAt: 0,
  textLen: 0,
  segmentLen: 0,
};
