import type { Chunk } from "../../base/mod.ts";
import { bareSeq, limits, seq, type Tcb } from "../tcp/mod.ts";
import { ACK, FIN, RST, SYN, type TcpSegment } from "../wire/mod.ts";
import type { Due } from "./deadlines.ts";
import type { Flow, Tuple } from "./flow-table.ts";
import type { Host } from "./host.ts";

/** What is left of a connection for 2 MSL (RFC 9293 §3.4.2): enough to acknowledge the peer's FIN again. */
export class TimeWait implements Flow, Due {
  readonly tuple: Tuple;
  readonly #host: Host;
  readonly #sndNxt: number;
  readonly #rcvNxt: number;
  nextFlow: Flow | undefined;
  dueMs = 0;
  heap: Due["heap"];

  constructor(host: Host, tuple: Tuple, tcb: Tcb, now: number) {
    this.#host = host;
    this.tuple = tuple;
    this.#sndNxt = bareSeq(tcb);
    this.#rcvNxt = tcb.rcv.nxt;
    host.deadlines.set(this, now + 2 * limits.MSL_MS);
  }

  /** RFC 9293 §3.10.7.4. A RST is ignored (RFC 1337 §3, fix F1). */
  segment(seg: TcpSegment, text: Chunk | undefined, now: number): void {
    const textLen = text === undefined ? 0 : text.bytes.length;
    text?.release();
    if (seg.flags & RST) return;
    const inPlace = seg.seq === this.#rcvNxt && textLen === 0;
    if (inPlace && (seg.flags & (FIN | SYN)) === 0) return;
    if ((seg.flags & FIN) === 0 && !this.#host.mayChallenge(now)) return;
    this.#host.writer.tcp(this.tuple, {
      seq: this.#sndNxt,
      ack: this.#rcvNxt,
      flags: ACK,
      wnd: 0,
      mss: 0,
      windowScale: undefined,
      text: undefined,
      textAt: 0,
      textLen: 0,
      segmentLen: 0,
    });
    if (seg.flags & FIN) this.#host.deadlines.set(this, now + 2 * limits.MSL_MS);
  }

  /** A SYN that can only be a new connection's: it begins behind all that was received (RFC 6191 §2). */
  makesWayFor(seg: TcpSegment): boolean {
    return (seg.flags & (SYN | ACK | RST)) === SYN && seq.gt(seg.seq, this.#rcvNxt);
  }

  expired(): void {
    this.#host.replace(this, undefined);
  }

  shutdown(): void {
    this.#host.deadlines.delete(this);
    this.#host.replace(this, undefined);
  }
}
