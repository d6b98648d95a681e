/** ALPN of the API, relayed by proxies without decryption. */
export const API_ALPN = "tp-auth/1";

/** Header of a request: the version of the caller's program. */
export const VERSION_HEADER = "teleport-version";

/** One request body: a resource of 1,024 long labels still fits. */
export const MAX_REQUEST_LEN = 1024 * 1024;
/** One answer: a page of 1,000 resources. */
export const MAX_RESPONSE_LEN = 16 * 1024 * 1024;
/** One line of a watch: one resource. */
export const MAX_LINE_LEN = 2 * 1024 * 1024;
/** A call, connecting included. Argon2id under load takes a second. */
export const CALL_TIMEOUT_MS = 10_000;
/** Requests under way on one connection; a client needs a handful. */
export const MAX_STREAMS = 128;
/** Connections to Auth at one time; above it new ones are closed at once. */
export const MAX_CONNECTIONS = 20_000;
/** TLS handshake of a connection to Auth, through a relay. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;
/** A connection on which nothing happens at all; a client of ours comes back when it needs to. */
export const IDLE_TIMEOUT_MS = 10 * 60_000;
/** HTTP/2 windows: the default 64 KiB caps throughput at one window per round trip. */
export const WINDOW_LEN = 4 * 1024 * 1024;

/** A watch says this often that it is alive … */
export const HEARTBEAT_MS = 5_000;
/** … and is given up by the client after three silent intervals, by the server when that long unread. */
export const SILENCE_MS = 15_000;
/** An idle connection is probed this often, so that a dead path is noticed. */
export const PING_INTERVAL_MS = 15_000;
export const PING_TIMEOUT_MS = 10_000;

/** A host looks at the age of its certificate this often at least. */
export const RENEWAL_LOOK_MS = 3_600_000;

/** Reconnecting waits between these, doubling, with jitter: agents retry a lost Auth at least every 4 s. */
export const MIN_BACKOFF_MS = 100;
export const MAX_BACKOFF_MS = 4_000;
