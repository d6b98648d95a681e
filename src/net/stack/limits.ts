/** Each number's reason; `docs/limits.md` lists them. Those of one connection are in `net/tcp`. */

/** SYNs held without an answer. More are dropped, as a full backlog does: the client sends its SYN again. */
export const ATTEMPTS = 1024;

/** Accepted connections whose client has not answered the SYN-ACK; the oldest makes room. At 2 KiB each. */
export const HALF_OPEN = 1024;

/** A held SYN's life: beyond the 127 s after which Linux gives up sending it. */
export const ATTEMPT_TIMEOUT_MS = 130_000;

/** Connections in the table; more SYNs are refused. At 2 KiB each when idle. */
export const CONNECTIONS = 16_384;

/** Entries in TIME-WAIT, about 300 octets each; the oldest makes room. */
export const TIME_WAITS = 4096;

/** ICMP errors sent (RFC 1812 §4.3.2.8, RFC 4443 §2.4 f): no echo of a flood. */
export const ICMP_ERRORS_PER_SECOND = 100;

/** Challenge ACKs sent (RFC 5961 §7). */
export const CHALLENGE_ACKS_PER_SECOND = 100;

/** Octets of an ICMP error: what every host can take (RFC 1812 §4.3.2.3, RFC 4443 §3.1). */
export const ICMP_ERROR_LEN = { 4: 576, 6: 1280 } as const;

/** Datagrams in reassembly; the oldest makes room. Honest hosts behind one TUN have a few. */
export const FRAGMENTED_DATAGRAMS = 64;

/** Fragments of one datagram: 64 KiB at IPv6's smallest MTU are 53. */
export const FRAGMENTS_PER_DATAGRAM = 128;

/** Octets of all fragments that wait; the oldest datagram makes room. */
export const FRAGMENT_OCTETS = 1024 * 1024;

/** From a datagram's first fragment to its last (RFC 8200 §4.5; RFC 1122 §3.3.2 says 60 to 120 s). */
export const REASSEMBLY_TIMEOUT_MS = 60_000;

/** A "packet too big" lowers the path's MTU no further (RFC 5927 §7.2; Linux's `min_pmtu`, RFC 8201 §4). */
export const PATH_MTU_MIN = { 4: 552, 6: 1280 } as const;

/** Shorter text is copied out of its frame, so that a keystroke in some queue does not hold a read buffer of 66,000 octets. */
export const COPY_BELOW = 2_048;

/** Datagrams in one frame: what the kernel puts there (UDP_MAX_SEGMENTS). */
export const UDP_PIECES = 128;

/** Text from which a frame is emitted in pieces, where the device can: less is copied sooner than pointed at. */
export const GATHERED_FROM = 16 * 1024;

/** Pieces of one such frame, headers included; scattered text is copied. */
export const GATHERED_PIECES = 20;

/** Octets of text for each of them on average; shorter ones are copied too. */
export const GATHERED_PIECE_LEN = 8 * 1024;

/** Who has written within one to two of these shares the memory for what is not acknowledged. */
export const SENDERS_MS = 50;

/** Text from which frames are built in memory that WebAssembly sums: with an Ethernet's MTU it would gain nothing. */
export const SUMMED_FROM = 4 * 1024;
