/** A connection attempt's whole time, sign-in of a session included; the client's own patience is longer. */
export const DIAL_TIMEOUT_MS = 30_000;

/**
 * Connections to one name being dialled; more are refused. Half of the stack's
 * unanswered SYNs, so that an app that hangs leaves room for the others.
 */
export const MAX_DIALS_PER_NAME = 512;

/** Names that have addresses. They keep them from run to run; more get SERVFAIL. */
export const MAX_ASSIGNMENTS = 65_536;

/**
 * The addresses of a name whose app is gone become no other's for so long. Programs remember addresses far beyond
 * the 10 s that DNS says; a day outlives their caches and a cluster's outage.
 */
export const ASSIGNMENT_QUARANTINE_MS = 24 * 3_600_000;

/** After so long without its app a name is forgotten at the next start. */
export const ASSIGNMENT_FORGOTTEN_MS = 30 * 24 * 3_600_000;

/** New addresses are on disk after so long: one write for a page that asks for twenty names. */
export const ADDRESS_FILE_DELAY_MS = 200;

/** DNS connections over TCP; more are refused. Each buffers one query and sixteen answers. */
export const MAX_DNS_STREAMS = 64;

/** The same refusal is told to the log once in this time, however fast a client tries again. */
export const LOG_REPEAT_MS = 1_000;

/** Refusals remembered for that; beyond, the memory starts anew. */
export const MAX_LOG_KEYS = 256;

/** Valid ports that a refusal's log line lists. */
export const MAX_LISTED_PORTS = 10;

/** One terminal asks for the status at a time, scripts perhaps a few. */
export const MAX_STATUS_CLIENTS = 16;

/** A status is written and read within so long. */
export const STATUS_TIMEOUT_MS = 2_000;

/** Octets of a status: 65,536 names and as many connections. */
export const MAX_STATUS_LEN = 32 * 1024 * 1024;

/** An IPv4 range needs five host bits: room for the reserved addresses and a few apps. */
export const MAX_IPV4_PREFIX_LEN = 27;

/** The host's own resolver answers a probe within so long; its way leads through the TUN and back. */
export const PROBE_TIMEOUT_MS = 3_000;

/** After a probe that failed: a resolver that was just told of VNet may need a moment. */
export const READY_RETRY_MS = 300;

/** So many more probes, the host's state put right before the first of them; then the person is told. */
export const READY_RETRIES = 5;

/** From then on it is tried again so often. */
export const UNREADY_RETRY_MS = 10_000;

/** How often the clocks and the network's addresses are looked at. */
export const READY_TICK_MS = 2_000;

/** More than a busy machine's delay between two readings of two clocks: it slept, or its clock was set. */
export const CLOCK_JUMP_MS = 1_000;

/** Processes whose descriptors are searched for a connection's socket; a user has a few hundred. */
export const MAX_SEARCHED_PROCESSES = 8_192;
