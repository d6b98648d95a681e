/** Events that wait for the disk: beyond it the log is refused, not grown. */
export const MAX_PENDING_EVENTS = 10_000;
/** Events remembered by their uid, so that a spool's repeated delivery is written once. */
export const MAX_RECENT_UIDS = 65_536;
/** Events in one answer of a search. */
export const MAX_FOUND = 10_000;
/** Undelivered events that an agent keeps, in octets; about 30,000 connections. Beyond it events are dropped and counted. */
export const MAX_SPOOL_BYTES = 16 * 1024 * 1024;
/** Events in one delivery; less than `audit.emit` takes. */
export const SPOOL_BATCH = 200;
/** Delivered events stay in the spool's file until they outweigh the rest by this much. */
export const SPOOL_COMPACT_BYTES = 1024 * 1024;
/** Wait after a failed delivery: doubles from the first to the last. */
export const SPOOL_BACKOFF_MS = { first: 250, last: 15_000 } as const;
/** Octets that are read from a file's end at once, to find its last lines. */
export const TAIL_READ_LEN = 64 * 1024;
/** Problems that one verification tells: one change spoils what follows. */
export const MAX_AUDIT_PROBLEMS = 100;
/** Auth signs for the log's head this often: a tail cut off within it may go unseen after a restart. */
export const CHECKPOINT_MS = 60_000;
/** With less free on the audit log's disk, what must be audited is refused: room for what is under way. */
export const MIN_FREE_BYTES = 16 * 1024 * 1024;
