import { randomUUID } from "node:crypto";
import { AUDIT_CODES, type AuditEventOf, type AuditEventType } from "../api/mod.ts";
import type { Clock } from "../base/mod.ts";

/** What the writer adds by itself. */
type Stamp = "event" | "ei" | "uid" | "code" | "time";
export type AuditFields<E extends AuditEventType> = Omit<AuditEventOf<E>, Stamp> & { ei?: number };

/**
 * Completes an event with its code, time and unique id. `success: false` takes
 * the failure's code where Teleport has one.
 */
export function auditEvent<E extends AuditEventType>(event: E, fields: AuditFields<E>, clock: Clock): AuditEventOf<E> {
  const codes: { ok: string; failed?: string } = AUDIT_CODES[event];
  const code = fields.success === false ? (codes.failed ?? codes.ok) : codes.ok;
  const stamp = { ei: 0, event, uid: randomUUID(), code, time: new Date(clock.wallMs()).toISOString() };
  // The fields are typed by the event's own schema; the compiler cannot follow the generic union.
  return { ...stamp, ...fields } as unknown as AuditEventOf<E>;
}
