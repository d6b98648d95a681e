/** How long VNet's answers may be remembered; short, because apps come and go (as Teleport's). */
export const ANSWER_TTL_S = 10;

/** A forwarded query's whole time: the client's own patience (resolv.conf(5), `timeout`) is the same. */
export const FORWARD_TIMEOUT_MS = 5_000;

/** The next server is asked when this one has been silent for so long. */
export const HEDGE_DELAY_MS = 200;

/** A server that failed or was silent is asked after the others for so long; then it has its place again. */
export const UPSTREAM_FAILED_MS = 30_000;

/** The list of servers is read anew after so long, or when none of them answered. */
export const SERVERS_CACHE_MS = 1_000;

/** The whole answer is fetched by TCP within so long; else the client gets the cut one and asks so itself. */
export const TCP_RETRY_MS = 2_000;

/** Sockets on which one server is asked at a time; more only where questions under way have the same id. */
export const SOCKETS_PER_SERVER = 16;

/** Then the next question gets another socket, and so another port: an attacker who finds a port out has no use for it. */
export const QUESTIONS_PER_SOCKET = 64;

/** And after so long, however few it asked. */
export const SOCKET_LIFE_MS = 2_000;

/** Octets that every client takes in one datagram (RFC 1035 §2.3.4). */
export const MIN_UDP_LEN = 512;

/** Servers asked per query, in order. resolv.conf(5) allows three; resolved may know more. */
export const MAX_UPSTREAMS = 8;

/** Forwarded queries under way; each may hold `MAX_UPSTREAMS` sockets. More get SERVFAIL. */
export const MAX_FORWARDS = 256;

/** The same reason for which names cannot be resolved is told to the log once in this time. */
export const FAILURE_LOG_MS = 60_000;

/** Reasons remembered for that. */
export const MAX_FAILURE_KEYS = 64;

/** Longest query taken over TCP: a question, an OPT and a signature fit many times. */
export const MAX_STREAM_QUERY_LEN = 4_096;

/** Queries of one TCP connection that are not yet answered in full; more wait unread (RFC 7766 §6.2.1.1). */
export const MAX_PIPELINED = 16;

/** A TCP connection without traffic for so long is ended (RFC 7766 §6.2.3: a few seconds). */
export const STREAM_IDLE_MS = 10_000;

/** Longest DNS message: TCP's length prefix has 16 bits. */
export const MAX_MESSAGE_LEN = 65_535;
