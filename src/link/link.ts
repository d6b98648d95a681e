import type { ByteStream, Clock, Counters, Logger } from "../base/mod.ts";
import type { Carrier } from "./carrier.ts";
import type { CloseCode, RefusalCode } from "./codes.ts";
import type { LinkClosedError } from "./errors.ts";

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

export declare class Link implements AsyncDisposable {
  static client(carrier: Carrier, options: LinkOptions): Link;
  static server(carrier: Carrier, options: ServerLinkOptions): Link;
  /** After the peer's HELLO; rejects with LinkClosedError (its `closeCode` is the peer's reason). */
  readonly ready: Promise<LinkPeer>;
  /** How the link ended. Never rejects. */
  readonly closed: Promise<LinkClosedError>;
  /** A client's connection to the app. LinkRefusedError, LinkClosedError, LinkDrainingError, LinkOpenTimeoutError, LinkLimitError or the signal's reason. */
  open(port: number, o?: { signal?: AbortSignal; timeoutMs?: number }): Promise<ByteStream>;
  get streams(): number;
  /** Neither side takes new streams any more. */
  get draining(): boolean;
  get ended(): boolean;
  onDraining(listener: () => void): void;
  /** New streams are refused on both sides; the link ends with its last stream. */
  drain(): void;
  /** Resets all streams and tells the peer why. */
  close(code: Exclude<CloseCode, "carrier" | "dead" | "timeout">, message?: string): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Tells a client why it gets no link, in place of HELLO, and ends the carrier. */
export declare function refuseLink(carrier: Carrier, code: CloseCode, message: string): void;
