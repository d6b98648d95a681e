/**
 * Who did what: events on the disk before the action is acknowledged, and an
 * agent's spool that never makes the data path wait. The log is a
 * chain of hashes with signed checkpoints, so that change, removal and a cut
 * tail are found. Knows no network and holds no key; what is not delivered stays in the spool's file.
 */
export type { AuditEvent, AuditEventOf, AuditEventType } from "../api/mod.ts";
export { GENESIS, type Head, type Notary } from "./chain.ts";
export { AuditFailedError } from "./errors.ts";
export { type AuditFields, auditEvent } from "./event.ts";
export {
  CHECKPOINT_MS,
  MAX_FOUND,
  MAX_PENDING_EVENTS,
  MAX_RECENT_UIDS,
  MAX_SPOOL_BYTES,
  SPOOL_BACKOFF_MS,
  SPOOL_BATCH,
  SPOOL_COMPACT_BYTES,
} from "./limits.ts";
export { AuditLog, type AuditLogOptions, type AuditQuery, openAuditLog } from "./log.ts";
export { openSpool, Spool, type SpoolOptions } from "./spool.ts";
export type { VerifyReport } from "./verify.ts";
