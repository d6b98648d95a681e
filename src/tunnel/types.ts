import type { Clock, Counters, Logger } from "../base/mod.ts";

export interface Tools {
  clock: Clock;
  counters: Counters;
  log: Logger;
}

/** A host certificate with its key, and the authorities that vouch for other hosts. Asked for at each handshake. */
export interface HostCredentials {
  certPem: string;
  keyPem: string;
  cluster: string;
  hostCas: readonly string[];
}

/** What a proxy knows of an app session. */
export interface RouteSession {
  /** 32 hexadecimal digits. */
  readonly sessionId: string;
  /** 32 octets. */
  readonly routeKey: Uint8Array;
  readonly cluster: string;
  readonly app: string;
  /** Milliseconds since 1970. */
  readonly expires: number;
}
