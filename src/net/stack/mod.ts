/**
 * A host's TCP/IP in user space: frames in, frames out, TCP connections as
 * `ByteStream`s. IPv4 and IPv6 with reassembly, TCP, UDP, ICMP echo and errors
 * both ways.
 *
 * Deliberately absent: forwarding, routing, fragmentation of our own packets,
 * link layers, and any timer or socket of its own (the clock and `emit` are
 * given).
 */

export {
  AddressInUseError,
  ConnectionRefusedError,
  ConnectTimeoutError,
  NotUnicastError,
  StackClosedError,
} from "./errors.ts";
export * as limits from "./limits.ts";
export { Stack } from "./stack.ts";
export type { Endpoint, StackHandlers, StackOptions, TcpAttempt, UdpDatagram } from "./types.ts";
