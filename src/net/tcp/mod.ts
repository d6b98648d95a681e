/**
 * One TCP connection as data and pure functions (RFC 9293): segments, time and
 * text come in; segments, what happened, and the next deadline come out.
 *
 * `arrive` takes a segment, `output` sends what may be sent, `deadline` and
 * `expire` are the timer. Deliberately absent: sockets, demultiplexing, LISTEN,
 * urgent data, ECN, Nagle's delay.
 */
export { type Arrival, arrival, arrive } from "./arrive.ts";
export { ChunkQueue } from "./chunk-queue.ts";
export { narrow, split } from "./chunks.ts";
export * as limits from "./limits.ts";
export { bareSeq, deadline, expire, output, resendFirst, type Sendable, sendAck } from "./output.ts";
export { keep, type OutOfOrder, releaseBlocks, takeBlock } from "./reassembly.ts";
export { lowerMss } from "./recovery.ts";
export { sackEdges } from "./sack.ts";
export * as seq from "./seq.ts";
export {
  close,
  flight,
  isOver,
  type KeepAlive,
  openActive,
  openPassive,
  type SegmentSink,
  type State,
  type SynOffer,
  stateAfterClose,
  stateAfterFin,
  type Tcb,
  type TcbOptions,
} from "./tcb.ts";
export { type Timestamps, tsValue } from "./timestamps.ts";
export { afterCredit, allowedWindow, announce } from "./window.ts";
