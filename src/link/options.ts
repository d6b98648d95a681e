import type { ByteStream, Clock, Counters, Logger } from "../base/mod.ts";
import type { RefusalCode } from "./codes.ts";

export interface LinkOptions {
  clock: Clock;
  counters: Counters;
  log: Logger;
  /** 8 octets that name this process; the route token of a second transport carries the agent's. */
  instance: Uint8Array;
  /** From OPEN to its answer. */
  openTimeoutMs?: number;
}

export interface ServerLinkOptions extends LinkOptions {
  /** Answer each request once, now or later, by `accept` or `refuse`. */
  onOpen(request: OpenRequest): void;
}

export interface OpenRequest {
  /** The port that the client dialled; 0 where the app has only one. */
  readonly port: number;
  /** Unique on this link. */
  readonly streamId: number;
  /** The client gave up, or the link ended: stop dialling. Answers are then ignored. */
  readonly aborted: AbortSignal;
  accept(): ByteStream;
  refuse(code: RefusalCode, message: string): void;
}

export interface LinkPeer {
  /** The one version both sides speak. */
  readonly version: number;
  readonly instance: Uint8Array;
}
