/** Each number's reason; `docs/limits.md` lists them. Those of one connection are in `net/tcp`. */

/** SYNs held without an answer. More are dropped, as a full backlog does: the client sends its SYN again. */
export const ATTEMPTS = 1024;

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
