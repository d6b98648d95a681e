import type { ByteStream, Clock, Counters, Logger } from "../base/mod.ts";
import type { LinkBudget } from "./budget.ts";
import type { RefusalCode } from "./codes.ts";

export interface LinkOptions {
  clock: Clock;
  counters: Counters;
  log: Logger;
  /** 8 octets that name this process; the route token of a second transport carries the agent's. */
  instance: Uint8Array;
  /** Of the process, for all of its links together; by default the link has one of its own. */
  budget?: LinkBudget;
  /** From OPEN to its answer. */
  openTimeoutMs?: number;
  /** How long the link may be without a carrier, if the peer agrees: the shorter time counts. 0, the default: not at all. */
  resumeMs?: number;
  /** Transports at most, if the peer agrees: the smaller number counts. 1 by default. */
  transports?: number;
}

export interface ServerLinkOptions extends LinkOptions {
  /** Answer each request once, now or later, by `accept` or `refuse`. */
  onOpen(request: OpenRequest): void;
}

export interface OpenRequest {
  /** The port that the client dialled; 0 where the app has only one. */
  readonly port: number;
  /** Unique on its transport. */
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
  /** How long the link may be without a carrier; 0: not at all. */
  readonly resumeMs: number;
  readonly transports: number;
}
