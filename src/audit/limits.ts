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
