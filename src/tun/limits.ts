/** The virtio-net header without `num_buffers` (virtio 1.2 §5.1.6). */
export const VNET_HEADER_LEN = 10;

/** Header and the largest IP packet. The kernel builds no longer one. */
export const MAX_FRAME_LEN = VNET_HEADER_LEN + 65_535;

/** One read takes a whole frame; a shorter buffer would truncate it without a word. */
export const READ_BUFFER_LEN = 66_000;

/** Frames read in one turn, so that timers and sockets get theirs too. */
export const MAX_BURST = 64;

/** Read buffers kept for reuse (8.4 MB): two bursts of super-segments, or what sixteen sockets have yet to take. What is beyond goes to the collector. */
export const MAX_POOLED_BUFFERS = 128;

/** Frames in flight in one direction of a memory pair; more are lost, as in the kernel's queue. */
export const MEMORY_QUEUE_LEN = 5_000;

/** The kernel's queue towards us (`txqueuelen`); its default of 500 drops at the first hiccup. */
export const TUN_QUEUE_LEN = 5_000;

/** Ethernet's, so that segments fit whatever a guest of the network may forward them to. */
export const TUN_MTU = 1_500;

/** Pieces of a gathered frame: its headers and what text comes in. */
export const MAX_PIECES = 24;

/** Data beside a passed descriptor. */
export const MAX_DESCRIPTOR_DATA = 4_096;
