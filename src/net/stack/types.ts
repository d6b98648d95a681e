import type { ByteStream, Clock, Counters, IpAddress, Random } from "../../base/mod.ts";
import type { KeepAlive } from "../tcp/mod.ts";

export interface Endpoint {
  readonly address: IpAddress;
  readonly port: number;
}

export type { KeepAlive };

export interface StackOptions {
  clock: Clock;
  random: Random;
  counters: Counters;
  /** Of the device, octets of one IP packet. Super-segments may be longer. */
  mtu: number;
  /** What our frames may leave to the device; `tso` needs `checksum`, and `bigTcp` both and `emitGathered`. */
  offload: {
    checksum: boolean;
    tso: boolean /** Super-segments over IPv4 may be longer than 64 KiB. */;
    bigTcp?: boolean;
  };
  /** Connections in the table; `limits.CONNECTIONS` unless given. */
  maxConnections?: number;
  /**
   * Calls `run` once what the event loop has at hand is done, as `setImmediate`
   * does: until then the rest that a large write leaves beyond whole frames
   * waits for the next write. Without it nothing waits.
   */
  turnEnd?(run: () => void): void;
  /** Sends a frame; borrowed for the call, which must not call `Stack.input`. */
  emit(frame: Uint8Array): void;
  /**
   * The same for a frame in at most `GATHERED_PIECES` pieces: its text is not copied behind its headers then. `false`:
   * it was not taken; one beyond 64 KiB goes in several then.
   */
  emitGathered?(pieces: readonly Uint8Array[]): boolean;
  handlers: StackHandlers;
  /** Ask silent peers of idle connections whether they are there (RFC 9293 §3.8.4). Off without it. */
  keepAlive?: KeepAlive;
  /** No progress for so long ends a connection; `limits.USER_TIMEOUT_MS` without it. At least 100 s (RFC 9293 §3.8.3). */
  userTimeoutMs?: number;
  /** Destination addresses that we answer for; packets to others are dropped and counted. The argument is borrowed. */
  isLocal(address: IpAddress): boolean;
  /** Source addresses that we talk to; packets from others are dropped and counted. The argument is borrowed. */
  mayTalk(source: IpAddress): boolean;
}

export interface StackHandlers {
  /** A SYN. It stays unanswered until `accept` or `refuse` is called, now or later. */
  tcp(attempt: TcpAttempt): void;
  /** `false`: nobody listens there, answered by an ICMP port unreachable. */
  udp(datagram: UdpDatagram): boolean;
  /** Is there somebody at this address who answers ping? Otherwise: ICMP host unreachable. */
  echo(address: IpAddress): boolean;
}

export interface TcpAttempt {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** The client gave up, or the attempt expired: both answers now do nothing on the wire. */
  readonly aborted: AbortSignal;
  /** Sends SYN-ACK. After an abort the stream is dead and says so (`reset`) once opened. */
  accept(): ByteStream;
  /** Sends RST: the client sees "connection refused" at once. */
  refuse(): void;
  /** Says by ICMP that no way leads to the address, or none that the client may go: it sees an error at once. */
  unreachable(reason: "address" | "prohibited"): void;
}

export interface UdpDatagram {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** Borrowed for the call of the handler: copy it to keep it. */
  readonly payload: Uint8Array;
  /** Sends a datagram back; at any time. Borrows `payload` for the call. */
  reply(payload: Uint8Array): void;
  /**
   * Says by ICMP that nobody listens there, or as above; at any time. Of "address" Linux tells a program only if it
   * asked for such news (IP_RECVERR), of the others always.
   */
  unreachable(reason: "port" | "address" | "prohibited"): void;
}
