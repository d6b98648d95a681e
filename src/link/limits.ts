/** Octets of a frame's header: length u16, type u8, zero u8, stream u32. */
export const HEADER_LEN = 8;
/** Octets: with its header a full frame is 16,384, exactly one TLS record (RFC 8446 §5.1). */
export const MAX_PAYLOAD = 16_376;
/** Octets of a full frame. */
export const MAX_FRAME = HEADER_LEN + MAX_PAYLOAD;
/** Octets of one write and of one replay segment: four full records, filled by one 65,504-octet read. */
export const SEGMENT_LEN = 4 * MAX_FRAME;
/** Octets of text in a REFUSED or GOAWAY: enough for a sentence to the user. */
export const MAX_TEXT = 512;

/** Streams of one link. */
export const MAX_STREAMS = 4_096;
/** OPENs that wait for an answer: each may hold a dial. */
export const MAX_UNANSWERED_OPENS = 512;

/** Octets of receive credit that a link gives out in all. */
export const LINK_BUDGET = 16 * 1024 * 1024;
/** Octets of receive credit that all links of a process give out together. */
export const PROCESS_CREDIT = 256 * 1024 * 1024;
/** Octets of it that each link has whatever the others do: 16 streams that go on slowly. */
export const LINK_CREDIT_MIN = 32 * 1024;
/** Octets that every stream may always send; outside the shared pool, so the budget holds with all streams open. */
export const MIN_WINDOW = 2 * 1024;
/** Octets of a stream's first window while the pool is far from empty. */
export const INITIAL_WINDOW = 256 * 1024;
/** Octets up to which the window of a busy stream grows. */
export const MAX_WINDOW = 1024 * 1024;
/** Octets a stream's writer may have waiting in the link, not yet in a frame: at most … */
export const SEND_QUEUE = 256 * 1024;
/** … its part of this, where there are many streams: what waits for a link without a carrier is bounded so … */
export const SEND_BUDGET = 8 * 1024 * 1024;
/** … and always this: all streams that there may be, with this much each, hold twice the budget. */
export const MIN_SEND_QUEUE = 4 * 1024;

/** Octets sent and not acknowledged, of a link, in equal parts for its transports: what a resumption may have to send again. */
export const REPLAY_LIMIT = 8 * 1024 * 1024;
/** The same, of all links of a process together. */
export const PROCESS_REPLAY = 512 * 1024 * 1024;
/** Octets of it that each transport has whatever the others do: one full frame on its way, with others beside it. */
export const TRANSPORT_REPLAY_MIN = 24 * 1024;
/** Octets of a link's kept from data, so that control frames always pass. */
export const REPLAY_RESERVE = 256 * 1024;
/** Octets that may be unacknowledged whatever the path: less costs throughput on a fast one. */
export const PACING_FLOOR = 512 * 1024;
/** Freed segments kept for reuse while data flows: acknowledgements of a busy peer come many at once. */
export const SPARE_SEGMENTS = 64;
/** The same, once everything is acknowledged and the link is silent. */
export const IDLE_SPARE_SEGMENTS = 4;

/** An acknowledgement is sent after so many octets … */
export const ACK_OCTETS = 64 * 1024;
/** … or so many milliseconds, whichever comes first. */
export const ACK_DELAY_MS = 20;

/** Silence before a PING. */
export const PING_AFTER_MS = 2_500;
/** Silence after which the path is dead. */
export const DEAD_AFTER_MS = 7_500;
/** From the carrier's start to the peer's HELLO. */
export const HELLO_TIMEOUT_MS = 10_000;
/** From OPEN to its answer, unless the caller says otherwise. */
export const OPEN_TIMEOUT_MS = 5_000;
/** From our last frame to the peer's end of the carrier. */
export const CLOSE_TIMEOUT_MS = 2_000;

/** The oldest link version spoken here … */
export const VERSION_MIN = 1;
/** … and the newest. HELLO carries both. */
export const VERSION_MAX = 1;

/** Links of one process: each has its minimum of the budgets above. */
export const MAX_LINKS = 4_096;
/** Transports of one link: more would buy nothing, each has a carrier of its own. */
export const MAX_TRANSPORTS = 4;
/** A link without a carrier lives so long, unless the cluster says otherwise: long enough for a train's tunnel. */
export const RESUME_MS = 5 * 60_000;
/** From ATTACH to its answer, the agent's delay included. */
export const ATTACH_TIMEOUT_MS = 10_000;
/** New carriers of one transport each minute; what is above waits, it is never refused. */
export const ATTACHES_PER_MINUTE = 10;
/** A changed network leaves the peer so long for a sign of life before the carrier is given up. */
export const PROBE_MS = 2_000;
/** A lost carrier is dialled for again after this … */
export const REDIAL_MIN_MS = 100;
/** … doubling to this, less a random half. */
export const REDIAL_MAX_MS = 2_000;
/** Every proxy that answers has said for so long that the agent is not there: it is gone. */
export const AGENT_GONE_MS = 10_000;
/** … less the silence before, up to this: it is half of the answer, and agents come back to a proxy within 5 s. */
export const SILENCE_CREDIT_MS = 4_500;
/** Octets over one carrier in either direction before another takes its place: OpenSSL does not rekey by itself. */
export const CARRIER_OCTETS = 2 ** 36;
/** Writes over one carrier before another takes its place; each is at least one TLS record (RFC 8446 §5.5). */
export const CARRIER_WRITES = 2 ** 22;
