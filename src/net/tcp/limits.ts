/** Each number's reason; `docs/limits.md` lists them. */

/** Octets written but not yet acknowledged, per connection: the bandwidth-delay product of 8 Gbit/s × 1 ms. */
export const SEND_BUFFER = 1024 * 1024;

/** The same of all connections that send at once: more would leave the processor's caches. Each has its share … */
export const SEND_BUFFERS = 4 * 1024 * 1024;

/** … down to this: 8 Gbit/s × 128 µs. */
export const SEND_BUFFER_MIN = 128 * 1024;

/** Congestion windows grow no further: a multiple of what the send buffer could ever fill. */
export const CONGESTION_WINDOW_MAX = 4 * SEND_BUFFER;

/** Announced on SYN and SYN-ACK before the consumer has granted credit: the most that an unscaled field can say. */
export const INITIAL_RECEIVE_WINDOW = 65_535;

/** The window that a generous credit begins with; it doubles for a peer that fills half of it in a round trip … */
export const FIRST_TUNED_WINDOW = 512 * 1024;

/** … up to this: 8 Gbit/s over 8 ms. Text ahead of a gap takes no more memory. */
export const MAX_RECEIVE_WINDOW = 8 * 1024 * 1024;

/** Our shift (RFC 7323 §2.2): windows up to 16 MiB in steps of 256 octets. */
export const RECEIVE_WINDOW_SCALE = 8;

/** Text received and not yet acknowledged that forces an ACK within a burst, so that the sender's window keeps moving. */
export const ACK_OCTETS = 256 * 1024;

/** Longest wait for an ACK that no burst's end triggers; RFC 9293 §3.8.6.3 allows 500 ms, Linux takes 40. */
export const DELAYED_ACK_MS = 40;

/**
 * Blocks of text received ahead of a gap, as many as there are gaps; their octets are bounded by the window. Each takes
 * up to 2.5 KiB beside its text. More are dropped and sent again: RFC 9293 §3.10.7.4 only asks to keep some.
 */
export const OUT_OF_ORDER_BLOCKS = 512;

/** Text that must wait and is no longer than this is copied, so that a few octets do not pin a 64 KiB frame. */
export const COPY_BREAK = 16 * 1024;

/** Small writes that must wait are gathered in runs of this size. */
export const GATHER_LEN = 16 * 1024;

/** Writes up to this size are gathered while others wait before them. */
export const GATHER_BREAK = 2 * 1024;

/** A write of so much is one of many: what it leaves beyond whole frames may wait for the end of the turn … */
export const BULK_WRITE = 16 * 1024;

/** … unless it is so much: the peer shall take it while we read on. */
export const WORTH_A_FRAME = 64 * 1024;

/** RFC 6298 §2.1: before the first sample. */
export const INITIAL_RTO_MS = 1_000;

/** RFC 6298 §2.4 recommends 1 s; the path is one hop inside the machine, and delayed ACKs take 40 ms. */
export const MIN_RTO_MS = 200;

/** RFC 6298 §2.5. */
export const MAX_RTO_MS = 60_000;

/** RFC 6298 §5.7: after a SYN had to be sent again. */
export const RTO_AFTER_SYN_LOSS_MS = 3_000;

/** No progress for so long ends a connection; RFC 9293 §3.8.3 (R2) asks for at least 100 s. */
export const USER_TIMEOUT_MS = 120_000;

/** The same for the handshake: RFC 9293 §3.8.3 asks for at least 3 min. */
export const SYN_TIMEOUT_MS = 180_000;

/** Maximum segment lifetime. RFC 9293 §3.4.2 chooses 2 min for the Internet; here segments live in one queue of one kernel. */
export const MSL_MS = 2_000;

/** RFC 9293 §3.7.1: when the peer's SYN has no MSS option. */
export const DEFAULT_MSS = { 4: 536, 6: 1220 } as const;

/** Smaller MSS options are taken as this: a hostile 1 would make a packet of every octet (Linux: tcp_min_snd_mss). */
export const MIN_MSS = 48;

/** Longest IP packet that a frame carries. */
export const MAX_PACKET_LEN = 65_535;

/** The same where the device takes more (Linux: BIG TCP): a full read of a socket in one frame, and what the last one left. Still within a core's cache. */
export const BIG_PACKET_LEN = 272 * 1024;

/** Runs of sent text that the scoreboard tells apart; 1 MiB in segments of 1,460 octets makes 719. A full one sends and splits no more. */
export const SCOREBOARD_RUNS = 4_096;

/** Quarters of a round trip that a reordered segment is waited for at most (RFC 8985 §6.2 step 4; one round trip caps it too). */
export const REORDERING_PATIENCE = 16;

/** Least wait for a tail-loss probe; RFC 8985 §7.2 takes 2 round trips, but here those are less than a time slice of the peer. */
export const MIN_PROBE_MS = 10;

/** Added to it for a lone segment: the peer may delay its ACK (RFC 8985 §7.2, TLP.max_ack_delay; Linux's delay). */
export const PROBE_ACK_DELAY_MS = 40;
