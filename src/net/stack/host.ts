import type { TcpSegment } from "../wire/mod.ts";
import type { Deadlines } from "./deadlines.ts";
import type { Flow, Tuple } from "./flow-table.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { SendShare } from "./send-share.ts";

/** What flows need of their stack. */
export interface Host {
  readonly writer: FrameWriter;
  readonly deadlines: Deadlines;
  readonly sendShare: SendShare;
  /** Between `input` and `drained`: what is to be sent waits for the end of the burst. */
  readonly inBurst: boolean;
  now(): number;
  /** Has `flush` called at the end of the burst, or within `DELAYED_ACK_MS`. */
  mark(flow: Flushable): void;
  /** The same at the end of this turn; false where nobody tells us when that is. */
  markForTurnEnd(flow: Flushable): boolean;
  /** May one more challenge ACK be sent? */
  mayChallenge(now: number): boolean;
  count(name: string): void;
  /** Puts `next` in the place of `old`; without `next`, `old` just leaves. Does nothing when `old` has left. */
  replace(old: Flow, next: Flow | undefined): void;
  /** The handshake of a connection in the table is done. */
  established(connection: Flow): void;
  /** Answers a segment that nobody wants with a RST (RFC 9293 §3.10.7.1). */
  reject(tuple: Tuple, seg: Pick<TcpSegment, "seq" | "ack" | "flags">, textLen: number): void;
  /** Answers a SYN by ICMP. */
  unreachable(reason: "address" | "prohibited", tuple: Tuple, syn: Pick<TcpSegment, "seq">): void;
}

export interface Flushable {
  /** Already in the list of those to be flushed; the stack's. */
  marked: boolean;
  flush(now: number): void;
}
