/** The proxy's named maximums; `docs/limits.md` lists them. */

/** Octets of a request body: a form or a small JSON document, nothing larger is ever asked for. */
export const MAX_WEB_BODY_LEN = 16 * 1024;
/** Octets of a larger body that are read and dropped before it is refused. */
export const MAX_WEB_DISCARD_LEN = 1024 * 1024;
/** Octets of a request's line and headers together. */
export const MAX_WEB_HEADER_LEN = 16 * 1024;
/** A web TLS handshake that takes longer is given up. */
export const WEB_HANDSHAKE_MS = 10_000;
/** Until the last header has arrived. */
export const WEB_HEADERS_MS = 10_000;
/** Until the last octet of the request has arrived. */
export const WEB_REQUEST_MS = 15_000;
/** An idle web connection is kept this long for a next request. */
export const WEB_KEEP_ALIVE_MS = 5_000;
/** Web connections at once, handshakes included; one more is closed at once. */
export const MAX_WEB_CONNECTIONS = 2_000;
/** Requests answered on one web connection. */
export const MAX_REQUESTS_PER_CONNECTION = 1_000;

/** Connections relayed to Auth at once. */
export const MAX_API_RELAYS = 4_000;
/** Until Auth's address has accepted a relayed connection. */
export const AUTH_DIAL_MS = 5_000;

/** A ClientHello of a session that is not in the proxy's view yet waits this long for it (PROTOCOL section 2). */
export const UNKNOWN_SESSION_WAIT_MS = 2_000;

/** The proxy's own announcement lives this long without renewal. */
export const PROXY_ANNOUNCE_TTL_MS = 10 * 60_000;
/** After `drain` begins, what is still open after this is cut. */
export const DRAIN_MS = 30_000;

/** While draining, the end of the last relayed link is looked for this often. */
export const DRAIN_POLL_MS = 50;

/** The self-signed web certificate is made anew when it has less than this left. */
export const WEB_CERT_RENEW_MS = 30 * 24 * 3_600_000;
/** ClientHellos, 16 KiB each at most, that wait so at once; one more is refused. */
export const MAX_WAITING_HELLOS = 1_000;
/** Ended sessions that are remembered, so that their clients hear at once. */
export const MAX_PAST_SESSIONS = 10_000;
/** Expired sessions are looked for this often. */
export const SESSION_SWEEP_MS = 1_000;
/** Accepted connections of every sort at once. */
export const MAX_PROXY_CONNECTIONS = 50_000;
/** At a graceful end, Auth's answer to the withdrawn announcement is waited for so long. */
export const WITHDRAW_MS = 2_000;
/** From the end of a trust to the end of the connections to its root: the agents tell their clients meanwhile. */
export const TRUST_FAREWELL_MS = 500;
