/** Octets of a ClientHello with its record headers: a post-quantum one has about 1.8 KiB. */
export const MAX_CLIENT_HELLO = 16 * 1024;
/** TLS records that one ClientHello may be cut into: each segment that arrives is read from the start again. */
export const MAX_HELLO_RECORDS = 32;
/** From accept to a whole ClientHello or greeting. */
export const HELLO_TIMEOUT_MS = 10_000;
/** Connections of one IPv4 address or IPv6 /64 that have not shown what they are, or whose token is unverified. */
export const MAX_UNVERIFIED_PER_ADDRESS = 64;
/** The same, of all addresses together. */
export const MAX_UNVERIFIED = 2_048;
/** Entries of one ALPN extension that are looked at. */
export const MAX_ALPN_ENTRIES = 16;

/** Octets of a route token: session 16, instance 8, counter 8, MAC 16. */
export const TOKEN_LEN = 48;
/** Counters below the highest that may still come (RFC 6479 §2). */
export const REPLAY_WINDOW = 1_024;
/** An unknown session's ClientHello waits this long for the proxy's view of sessions. */
export const SESSION_WAIT_MS = 2_000;
/** New carriers of one session each second … */
export const CARRIERS_PER_SECOND = 10;
/** … and at once. */
export const CARRIER_BURST = 20;
/** Relays of one session at a time. */
export const MAX_LIVE_CARRIERS = 16;
/** From a session's end to the end of its relays: its agents tell the clients why meanwhile. */
export const SESSION_FAREWELL_MS = 500;
/** Sessions with a counter window at one proxy. */
export const MAX_TRACKED_SESSIONS = 65_536;

/** Octets of a PROXY protocol header, with what a balancer adds of TLS and its own. */
export const MAX_PROXY_HEADER = 4 * 1024;
/** The same complaint about PROXY headers is logged so often, for each of so many addresses. */
export const PROXY_HEADER_LOG_MS = 60_000;
export const MAX_PROXY_HEADER_LOGS = 256;
/** Octets of one line on a control connection. */
export const MAX_CONTROL_LINE = 4 * 1024;
/** From the first octet of a control connection to its hello or welcome. */
export const CONTROL_HELLO_TIMEOUT_MS = 10_000;
/** From a control connection's last message to its end. */
export const FAREWELL_TIMEOUT_MS = 2_000;
/** Control connections of one proxy. */
export const MAX_CONTROLS = 1_024;
/** An agent tries a lost proxy again after this … */
export const RECONNECT_MIN_MS = 250;
/** … doubling to this, less a random part. */
export const RECONNECT_MAX_MS = 4_000;
/** TCP connect, and TLS handshake, each. */
export const CONNECT_TIMEOUT_MS = 5_000;

/** Idle data connections that an agent keeps at one proxy without demand … */
export const MIN_IDLE = 2;
/** … and at most. */
export const MAX_IDLE = 64;
/** A data connection that ends so soon, without a client, may be one that a middlebox does not let pass … */
export const EARLY_END_MS = 2_000;
/** … and after so many in a row the other way is tried: nested in TLS, or plain again. */
export const EARLY_ENDS = 4;
/** Without running short, the wanted number halves after so long. */
export const IDLE_DECAY_MS = 60_000;
/** An idle data connection is replaced after so long: middleboxes forget silent ones. */
export const IDLE_LIFE_MS = 5 * 60_000;
/** Clients that wait for a data connection of one agent. */
export const MAX_ROUTE_WAITERS = 256;
/** Connections for leaf clusters' APIs through one proxy. */
export const MAX_LEAF_API_RELAYS = 4_096;
/** Octets of a sealed ROUTE. */
export const MAX_ROUTE = 2 * 1024;
/** From ROUTE to ACCEPT, or for an idle connection: then the next one or the next agent. */
export const ACCEPT_TIMEOUT_MS = 1_000;
/** An agent that did not take a client comes after all others for so long. */
export const SKIP_AGENT_MS = 10_000;
/** Data connections tried for one client. */
export const MAX_ROUTE_ATTEMPTS = 4;

/** From the agent's accept of a relayed socket to the end of its TLS handshake. */
export const LINK_HANDSHAKE_TIMEOUT_MS = 10_000;
/** Handshakes under way at one agent process. */
export const MAX_HANDSHAKES = 1_024;
/** Octets held for one user's links while they have no connection; above it the longest waiting ones end. */
export const MAX_DETACHED_OCTETS = 32 * 1024 * 1024;
/** One user's links that have no connection, the same way: an idle one holds next to nothing. */
export const MAX_DETACHED_LINKS = 64;
/** What is held for them is looked at so often. */
export const DETACHED_SWEEP_MS = 1_000;
/** Carriers whose certificate has expired, or whose authority has gone, are looked for so often. */
export const CARRIER_TRUST_SWEEP_MS = 1_000;
/** A proxy that has not answered within this does not keep a client from trying the next one too. */
export const NEXT_PROXY_MS = 1_000;
/** Times that a client tries again with its next counter. */
export const TOKEN_RETRIES = 3;

/** From a refusing alert to the end of the connection. */
export const ALERT_TIMEOUT_MS = 2_000;

/** Octets that a socket stream takes for writing before the kernel has taken them. */
export const SOCKET_WRITE_WINDOW = 512 * 1024;
/** Octets read beyond a socket stream's credit before reading stops: while it goes on, an end or a reset is noticed. */
export const SOCKET_READ_AHEAD = 16 * 1024;
/** A socket stream in full flow without credit is read ahead only after so long: its credit comes sooner as a rule. */
export const CREDIT_PATIENCE_MS = 100;
/** How often a socket whose far end has half-closed is asked for a reset. */
export const HALF_CLOSED_PROBE_MS = 1_000;
/** Octets from which a piece is held until the turn's end, to go with the next ones in one system call. */
export const CORK_FROM = 4 * 1024;
/** Octets read from a socket at once: what four TLS records carry of a stream (`link.MAX_PAYLOAD`), as a rest costs as much as a record. */
export const RAW_READ_LEN = 4 * 16_376;
/** The same, of a socket that has just filled such a buffer: fewer wake-ups at both ends, and still within a core's cache. */
export const FULL_READ_LEN = 16 * 16_376;
/** Octets of a TLS record's text (RFC 8446 §5.1): a TLS socket delivers record by record. */
export const TLS_READ_LEN = 16 * 1024;
/** Octets of read buffers of each length kept for reuse: what a few busy sockets have under way. */
export const MAX_SPARE_READ_OCTETS = 2 * 1024 * 1024;
/** The same of the larger ones: what sixteen streams with full send buffers hold. */
export const MAX_SPARE_FULL_READ_OCTETS = 16 * 1024 * 1024;
/** Sockets that have a read buffer of their own; more read by copy. */
export const MAX_BULK_READERS = 256;
/** Octets of a read from which it counts as bulk; a smaller one is copied, so that a keystroke holds no whole buffer. */
export const BULK_READ_FROM = 4 * 1024;
/** Small reads in a row after which a socket gives its buffer back. */
export const QUIET_READS = 4;
/** Octets waiting in a TLS socket above which its link pauses; not under Node's own mark, whose `drain` would be lost. */
export const CARRIER_HIGH_WATER = 256 * 1024;
