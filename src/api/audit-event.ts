import { z } from "zod";
import { stringMap, text, texts, timestamp } from "./common.ts";

/** Teleport's codes: I for done, W and E for failed. */
export const AUDIT_CODES = {
  "user.login": { ok: "T1000I", failed: "T1000W" },
  "user.create": { ok: "T1002I" },
  "user.update": { ok: "T1003I" },
  "user.delete": { ok: "T1004I" },
  "user.password_change": { ok: "T1005I" },
  "reset_password_token.create": { ok: "T6000I" },
  "mfa.add": { ok: "T1006I" },
  "mfa.delete": { ok: "T1007I" },
  "mfa_auth_challenge.create": { ok: "T1015I" },
  "mfa_auth_challenge.validate": { ok: "T1016I", failed: "T1016W" },
  "app.session.start": { ok: "T2007I", failed: "T2007E" },
  "app.session.end": { ok: "T2011I" },
  "app.create": { ok: "TAP03I" },
  "app.update": { ok: "TAP04I" },
  "app.delete": { ok: "TAP05I" },
  "role.created": { ok: "T9000I" },
  "role.deleted": { ok: "T9001I" },
  "role.updated": { ok: "T9002I" },
  "lock.created": { ok: "TLK00I" },
  "lock.deleted": { ok: "TLK01I" },
  "client.disconnect": { ok: "T3006I" },
  "session.rejected": { ok: "T1006W" },
  "join_token.create": { ok: "TJT00I" },
  "join_token.update": { ok: "TJT01I" },
  "join_token.delete": { ok: "TJT02I" },
  "instance.join": { ok: "TJ002I", failed: "TJ002E" },
  "cert.create": { ok: "TC000I" },
  "auth_preference.update": { ok: "TCAUTH001I" },
  "trusted_cluster.create": { ok: "T7000I", failed: "T7000W" },
  "trusted_cluster.delete": { ok: "T7001I" },
  "networking_config.update": { ok: "TCNET002I" },
  "vnet.config.create": { ok: "TVNET001I" },
  "vnet.config.update": { ok: "TVNET002I" },
  "vnet.config.delete": { ok: "TVNET003I" },
  "cert_authority.rotate": { ok: "TCA001I" },
  "audit.dropped": { ok: "TAU001W" },
  "audit.damaged": { ok: "TAU002E" },
} as const satisfies Record<string, { ok: string; failed?: string }>;

export type AuditEventType = keyof typeof AUDIT_CODES;

const common = {
  /** Index within one session's events; 0 elsewhere. */
  ei: z.int().min(0),
  /** Unique: a repeated delivery from a spool is recognized by it. */
  uid: z.uuid(),
  code: text,
  time: timestamp,
  cluster_name: text,
};

const status = { success: z.boolean().optional(), error: text.optional(), message: text.optional() };
const user = { user: text.optional(), user_roles: texts.optional(), user_kind: z.enum(["human", "system"]).optional() };
const connection = { "addr.local": text.optional(), "addr.remote": text.optional(), proto: text.optional() };
const server = {
  server_id: text.optional(),
  server_hostname: text.optional(),
  server_version: text.optional(),
  server_labels: stringMap.optional(),
};
/** A resource that was written: its name and, where it lapses, when. */
const resource = { name: text.optional(), expires: timestamp.optional(), updated_by: text.optional() };
const app = {
  sid: text,
  app_name: text,
  app_uri: text.optional(),
  app_public_addr: text.optional(),
  app_labels: stringMap.optional(),
  app_target_port: z.int().min(0).max(65_535).optional(),
  with_mfa: text.optional(),
};
/** A second factor; ids and names only. */
const mfaDevice = {
  mfa_device_name: text.optional(),
  mfa_device_uuid: text.optional(),
  mfa_device_type: text.optional(),
};
const challenge = { challenge_scope: z.enum(["login", "passwordless_login", "manage_devices", "user_session"]) };
const octets = z.int().min(0);

function event<E extends AuditEventType, S extends z.core.$ZodLooseShape>(name: E, fields: S) {
  return z.strictObject({ event: z.literal(name), ...common, ...user, ...connection, ...server, ...status, ...fields });
}

/** One line of the audit log. Field names are Teleport's. */
export const auditEventSchema = z.discriminatedUnion("event", [
  event("user.login", { method: z.enum(["local"]), ...mfaDevice }),
  event("user.create", { ...resource, roles: texts.optional() }),
  event("user.update", { ...resource, roles: texts.optional() }),
  event("user.delete", resource),
  event("user.password_change", {}),
  event("reset_password_token.create", { name: text, ttl: text.optional() }),
  event("mfa.add", mfaDevice),
  /** `name`: whose it was; an administrator's reset removes them too. */
  event("mfa.delete", { ...mfaDevice, name: text.optional() }),
  event("mfa_auth_challenge.create", challenge),
  event("mfa_auth_challenge.validate", { ...challenge, ...mfaDevice }),
  event("app.session.start", { ...app, stream_id: text.optional() }),
  event("app.session.end", {
    ...app,
    stream_id: text.optional(),
    /** Octets from the client to the app, and back. */
    bytes_in: octets,
    bytes_out: octets,
    session_start: timestamp.optional(),
    session_stop: timestamp.optional(),
    /** Why the stream ended, where not by both sides' FIN. */
    reason: text.optional(),
  }),
  event("app.create", { ...resource, ...appFields() }),
  event("app.update", { ...resource, ...appFields() }),
  event("app.delete", resource),
  event("role.created", resource),
  event("role.updated", resource),
  event("role.deleted", resource),
  event("lock.created", { ...resource, target: stringMap.optional() }),
  event("lock.deleted", resource),
  /** The agent ended a connection: a lock, idleness, the end of the login. */
  event("client.disconnect", { ...app, stream_id: text.optional(), reason: text }),
  /** A connection that would have been one too many for the user. */
  event("session.rejected", { ...app, stream_id: text.optional(), reason: text, maximum: octets.optional() }),
  event("join_token.create", { ...resource, roles: texts, join_method: text }),
  event("join_token.update", { ...resource, roles: texts, join_method: text }),
  event("join_token.delete", { ...resource, roles: texts.optional(), join_method: text.optional() }),
  event("instance.join", {
    host_id: text.optional(),
    node_name: text.optional(),
    role: text.optional(),
    method: text,
    token_name: text.optional(),
  }),
  event("cert.create", {
    cert_type: z.enum(["user", "app", "host"]),
    expires: timestamp.optional(),
    app_name: text.optional(),
    /** Whose certificate, where another made it. */
    name: text.optional(),
  }),
  event("auth_preference.update", resource),
  event("trusted_cluster.create", resource),
  event("trusted_cluster.delete", resource),
  event("networking_config.update", resource),
  event("vnet.config.create", resource),
  event("vnet.config.update", resource),
  event("vnet.config.delete", resource),
  /** An authority's rotation came to another phase; not of Teleport's table. */
  event("cert_authority.rotate", { name: text, ca_type: text, phase: text, mode: text.optional() }),
  event("audit.damaged", {}),
  event("audit.dropped", { count: z.int().min(1) }),
]);

function appFields() {
  return { app_uri: text.optional(), app_public_addr: text.optional(), app_labels: stringMap.optional() };
}

export type AuditEvent = z.infer<typeof auditEventSchema>;
export type AuditEventOf<E extends AuditEventType> = Extract<AuditEvent, { event: E }>;
