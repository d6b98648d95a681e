/** A connection attempt's whole time, sign-in of a session included; the client's own patience is longer. */
export const DIAL_TIMEOUT_MS = 30_000;

/**
 * Connections to one name being dialled; more are refused. Half of the stack's
 * unanswered SYNs, so that an app that hangs leaves room for the others.
 */
export const MAX_DIALS_PER_NAME = 512;

/** Names that have addresses. They keep them for the life of VNet; more get SERVFAIL. */
export const MAX_ASSIGNMENTS = 65_536;

/** DNS connections over TCP; more are refused. Each buffers one query and sixteen answers. */
export const MAX_DNS_STREAMS = 64;

/** The same refusal is told to the log once in this time, however fast a client tries again. */
export const LOG_REPEAT_MS = 1_000;

/** Refusals remembered for that; beyond, the memory starts anew. */
export const MAX_LOG_KEYS = 256;

/** Valid ports that a refusal's log line lists. */
export const MAX_LISTED_PORTS = 10;

/** An IPv4 range needs five host bits: room for the reserved addresses and a few apps. */
export const MAX_IPV4_PREFIX_LEN = 27;
