import type { Lease } from "../base/mod.ts";

/**
 * What a transport's frames travel on: a TLS connection, or memory in tests.
 * Reliable and in order until it ends.
 */
export interface Carrier {
  /**
   * 32 octets that only the two ends of this connection know (RFC 8446 §7.5):
   * they name the link that begins here, and prove who attaches to it later.
   */
  readonly binding: Uint8Array;
  /** Attaches the link. Call once; the handler is not called within. */
  start(handler: CarrierHandler): void;
  /**
   * Sends a batch of up to 65,536 octets. They do not change before the peer
   * has acknowledged them, so the carrier may keep a reference instead of a copy.
   */
  write(bytes: Uint8Array): void;
  /** False while the carrier holds more than it likes; `handler.writable` follows. */
  readonly writable: boolean;
  /** Sends what was written, then ends. */
  close(): void;
  /** Ends at once, and lets go of what was written: its memory may change from here on. */
  destroy(): void;
}

export interface CarrierHandler {
  /** The link keeps octets beyond the call only while it retains `lease`. */
  data(bytes: Uint8Array, lease: Lease): void;
  writable(): void;
  /** The carrier ended, by whichever side. Called once; nothing follows. */
  closed(error?: Error): void;
}
