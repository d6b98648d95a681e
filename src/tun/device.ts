import type { Chunk } from "../base/mod.ts";

/** What the device does for whoever emits frames into it. */
export interface Offload {
  /** Frames may carry a partial checksum (`VIRTIO_NET_HDR_F_NEEDS_CSUM`). */
  readonly checksum: boolean;
  /** Frames may be TCP super-segments of up to 64 KiB (`gso_type` TCPV4 and TCPV6). */
  readonly tso: boolean;
  /** Those over IPv4 may be longer, in pieces, with a total length of 0 (Linux: "BIG TCP"). */
  readonly bigTcp: boolean;
}

/**
 * A point-to-point link for IP packets. A frame is the 10-octet virtio-net
 * header (little-endian; zeros where nothing is offloaded), then the packet,
 * never longer than `MAX_FRAME_LEN` in all but where `bigTcp` says so.
 */
export interface TunDevice {
  readonly name: string;
  /** Octets, without the virtio-net header. */
  readonly mtu: number;
  readonly offload: Offload;
  /** Begins to read. Call once. */
  start(handler: TunHandler): void;
  /**
   * Sends one frame, at once; `frame` is borrowed for the call. `false`: the
   * device did not take it. That is a lost packet, not an error, and the
   * sender's retransmission recovers.
   */
  write(frame: Uint8Array): boolean;
  /** The same for a frame in at most `MAX_PIECES` pieces, all borrowed. A long one may be refused for lack of memory. */
  writeGathered(pieces: readonly Uint8Array[]): boolean;
  /** No handler method is called afterwards. Idempotent. */
  close(): void;
}

export interface TunHandler {
  /** The receiver owns the chunk, which holds a read buffer of 66,000 octets until it is released. Where `offload.tso` holds, UDP super-segments (`gso_type` UDP_L4) may be among them. */
  receive(frame: Chunk): void;
  /** The burst is over (at most `MAX_BURST` frames). */
  drained(): void;
  /** The device has vanished. Called at most once, and then nothing else. */
  failed(error: Error): void;
}
