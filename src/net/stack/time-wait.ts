import type { Chunk } from "../../base/mod.ts";
import { bareSeq, limits, seq, type Tcb, type Timestamps, tsValue } from "../tcp/mod.ts";
import { ACK, FIN, NO_OPTIONS, RST, SYN, type TcpSegment } from "../wire/mod.ts";
import type { Due } from "./deadlines.ts";
import type { Flow, Tuple } from "./flow-table.ts";
import type { Host } from "./host.ts";

/** What is left of a connection for 2 MSL (RFC 9293 §3.4.2): enough to acknowledge the peer's FIN again. */
export class TimeWait implements Flow, Due {
  readonly tuple: Tuple;
  readonly #host: Host;
  readonly #sndNxt: number;
  readonly #rcvNxt: number;
  readonly #ts: Timestamps | undefined;
  nextFlow: Flow | undefined;
  dueMs = 0;
  heap: Due["heap"];

  constructor(host: Host, tuple: Tuple, tcb: Tcb, now: number) {
    this.#host = host;
    this.tuple = tuple;
    this.#sndNxt = bareSeq(tcb);
    this.#rcvNxt = tcb.rcv.nxt;
    this.#ts = tcb.ts;
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
      ...NO_OPTIONS,
      tsVal: this.#ts === undefined ? -1 : tsValue(this.#ts, now),
      tsEcr: this.#ts?.recent ?? 0,
      text: undefined,
      textAt: 0,
      textLen: 0,
      segmentLen: 0,
    });
    if (seg.flags & FIN) this.#host.deadlines.set(this, now + 2 * limits.MSL_MS);
  }

  /**
   * A SYN that can only be a new connection's: its timestamp is later than the
   * last one, or without timestamps on either side, or with the same one, it
   * begins behind all that was received (RFC 6191 §2).
   */
  makesWayFor(segment: TcpSegment): boolean {
    if ((segment.flags & (SYN | ACK | RST)) !== SYN) return false;
    const behind = seq.gt(segment.seq, this.#rcvNxt);
    if (this.#ts === undefined || segment.tsVal < 0) return behind;
    const later = seq.diff(segment.tsVal, this.#ts.recent);
    return later > 0 || (later === 0 && behind);
  }

  expired(): void {
    this.#host.replace(this, undefined);
  }

  shutdown(): void {
    this.#host.deadlines.delete(this);
    this.#host.replace(this, undefined);
  }
}
