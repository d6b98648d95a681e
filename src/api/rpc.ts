import { z } from "zod";
import { appPublicAddr } from "./app.ts";
import { auditEventSchema } from "./audit-event.ts";
import { caRotationSchema, ROTATION_PHASES, routeKey, sessionId } from "./cluster.ts";
import { resourceName, stringMap, text, texts, timestamp, tokenName, traitMap } from "./common.ts";
import { MAX_CA_CERTS, MAX_EVENTS, MAX_KNOWN, MAX_PAGE } from "./limits.ts";
import { mfaAnswer, mfaChallenge, mfaDevice, mfaDeviceType, newMfaDevice, webauthnJson } from "./mfa.ts";
import { kindSchema, resourceSchema } from "./resource.ts";

/**
 * The API: `POST /v1/<method>` with a JSON request, over HTTP/2 and mutual TLS.
 * An answer is 200 with the response, or `ErrorEnvelope` with another status.
 * `resource.watch` answers with JSON lines.
 *
 * Callers are whom the certificate names. `none`: without one. `admin`: the
 * identity kept on the Auth host. `host`: a process with a host certificate.
 * `leaf`: the Auth Service of a leaf cluster. `remote_user`: a user of a root
 * cluster that this one trusts.
 * App-route certificates are refused everywhere.
 */
export type Caller = "none" | "user" | "admin" | "host" | "leaf" | "remote_user";

export interface RpcContract {
  readonly callers: readonly Caller[];
  readonly request: z.ZodType;
  /** One line of it where `stream`. */
  readonly response: z.ZodType;
  readonly stream?: true;
}

const empty = z.strictObject({});
const pem = text.min(1);
const pems = z.array(pem).max(MAX_CA_CERTS);
const csr = pem;
const hostPorts = texts;
const generation = z.int().min(0);
const agents = z.array(z.object({ host_id: text }));
const resourceRef = z.strictObject({ kind: kindSchema, name: text });
const oneResource = z.strictObject({ resource: resourceSchema });
/** 32 octets in hexadecimal. */
const hex32 = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits");
const rootFacts = { cluster_name: resourceName, host_cas: pems, user_cas: pems, tunnel_addrs: texts };
/** Narrow a listing; all that are given must hold. */
const filterFields = {
  /** Labels that must have these values. */
  labels: stringMap.optional(),
  /** Words that must each occur in the name, description, address or a label. */
  search: texts.optional(),
  /** Teleport's predicate language: `labels["env"] == "prod" && hasPrefix(name, "db")`. */
  query: text.optional(),
};
/** A login: a certificate for the key of the request, and whom to trust from now on. */
const login = z.object({
  cert: pem,
  cluster_name: text,
  generation,
  host_cas: pems,
  expires: timestamp,
  server_time: timestamp,
});
const ttlSeconds = z.int().min(1).optional();
const userLink = z.object({ token: tokenName, expires: timestamp, url: text });
const hostRole = z.enum(["App", "Proxy"]);

/** What a client needs to reach one app: the answer of `app_session.create` and `.renew`. */
export const appSessionAnswerSchema = z.object({
  session_id: sessionId,
  cert: pem,
  app: text,
  public_addr: text,
  cluster: text,
  agents,
  generation,
  host_cas: pems,
  /** Base64 of 32 octets. */
  route_key: routeKey,
  expires: timestamp,
  server_time: timestamp,
  /** `host:port`. */
  proxies: hostPorts,
});
export type AppSessionAnswer = z.infer<typeof appSessionAnswerSchema>;

/** Revisions by kind and name: what a watcher has already, from before it lost its watch. */
const knownRevisions = z
  .partialRecord(kindSchema, z.record(text, text))
  .refine((known) => countKnown(known) <= MAX_KNOWN, {
    error: `more than ${MAX_KNOWN} resources: watch without them`,
  });
export type KnownRevisions = z.infer<typeof knownRevisions>;

function countKnown(known: Readonly<Record<string, object | undefined>>): number {
  return Object.values(known).reduce((sum, names) => sum + Object.keys(names ?? {}).length, 0);
}

export const watchEventSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("put"), resource: resourceSchema }),
  z.object({ type: z.literal("delete"), kind: kindSchema, name: text }),
  /** All that existed has been sent; what follows are changes. */
  z.object({ type: z.literal("init") }),
  /** Every 5 s, so that a silent connection is known to be dead. */
  z.object({ type: z.literal("alive") }),
]);
export type WatchEvent = z.infer<typeof watchEventSchema>;

// Requests are strict, responses are not: a newer server may say more.
export const RPC = {
  "cluster.ping": {
    callers: ["none", "user", "admin", "host", "leaf", "remote_user"],
    request: empty,
    response: z.object({ cluster_name: text, version: text, server_time: timestamp, proxies: hostPorts }),
  },
  "cluster.trust": {
    callers: ["none", "user", "admin", "host", "leaf", "remote_user"],
    request: empty,
    /** `vouchers`: certificates by which the authorities vouch for each other while one replaces another. */
    response: z.object({ cluster_name: text, generation, host_cas: pems, vouchers: pems.optional() }),
  },
  "cluster.status": {
    callers: ["user", "admin"],
    request: empty,
    response: z.object({
      cluster_name: text,
      version: text,
      ca_pins: texts,
      authorities: z.array(
        z.object({
          type: text,
          fingerprint: text,
          not_after: timestamp,
          rotation: caRotationSchema.optional(),
          /** Connected hosts whose certificates are not yet by the key that signs. */
          behind: texts.optional(),
        }),
      ),
    }),
  },
  /** Either the login, or, where a second factor is asked for, the challenge that `login.finish` answers. */
  "login.password": {
    callers: ["none", "user"],
    request: z.strictObject({ user: resourceName, password: text, csr, ttl_seconds: ttlSeconds }),
    response: z.object({ login: login.optional(), mfa: mfaChallenge.optional() }),
  },
  /** Without a name or a password: whose passkey answers is the user. */
  "login.passwordless": {
    callers: ["none", "user"],
    request: z.strictObject({ csr, ttl_seconds: ttlSeconds }),
    response: z.object({ mfa: mfaChallenge }),
  },
  "login.finish": {
    callers: ["none", "user"],
    request: z.strictObject({ mfa: mfaAnswer }),
    response: login,
  },
  /** What whoever holds the link is asked for. Each reading makes another passkey challenge and forgets the last. */
  "invite.read": {
    callers: ["none"],
    request: z.strictObject({ token: tokenName }),
    response: z.object({
      user: text,
      kind: z.enum(["invite", "reset"]),
      expires: timestamp,
      /** Whether a device may be left out. */
      mfa_optional: z.boolean(),
      otp: z.object({ secret: text, uri: text }).optional(),
      /** `PublicKeyCredentialCreationOptionsJSON`. */
      webauthn: webauthnJson.optional(),
    }),
  },
  "invite.accept": {
    callers: ["none"],
    request: z.strictObject({
      token: tokenName,
      password: text,
      device_name: text.optional(),
      otp_token: text.optional(),
      /** `RegistrationResponseJSON`. */
      webauthn: webauthnJson.optional(),
    }),
    response: z.object({ user: text }),
  },
  /** What the page says that confirms, by a passkey, what a terminal asked for. */
  "approval.read": {
    callers: ["none"],
    request: z.strictObject({ id: tokenName }),
    response: z.object({
      /** Empty: whoever has the passkey. */
      user: text,
      scope: text,
      app: text.optional(),
      /** The address that the terminal's request came from. */
      remote: text,
      expires: timestamp,
      webauthn: webauthnJson,
    }),
  },
  "approval.confirm": {
    callers: ["none"],
    request: z.strictObject({ id: tokenName, webauthn: webauthnJson }),
    response: z.object({ user: text }),
  },
  /** Asked by the terminal until the page has confirmed. */
  "approval.state": {
    callers: ["none", "user"],
    request: z.strictObject({ challenge_id: tokenName }),
    response: z.object({ approved: z.boolean() }),
  },
  "mfa.list": { callers: ["user"], request: empty, response: z.object({ devices: z.array(mfaDevice) }) },
  /** For a change of the own devices, or for the session of an app. */
  "mfa.challenge": {
    callers: ["user"],
    request: z.strictObject({
      scope: z.enum(["manage_devices", "user_session"]),
      app: text.optional(),
      cluster: text.optional(),
    }),
    response: mfaChallenge,
  },
  /** Begins a device; `mfa` by one that is there, where there is any. */
  "mfa.register": {
    callers: ["user"],
    request: z.strictObject({ type: mfaDeviceType, name: text, passwordless: z.boolean(), mfa: mfaAnswer.optional() }),
    response: newMfaDevice,
  },
  "mfa.add": {
    callers: ["user"],
    request: z.strictObject({ registration_id: tokenName, otp_token: text }),
    response: z.object({ device: mfaDevice }),
  },
  "mfa.delete": {
    callers: ["user"],
    request: z.strictObject({ name: text, mfa: mfaAnswer }),
    response: z.object({ device: mfaDevice }),
  },
  /** The page that makes a passkey which a terminal has begun. */
  "registration.read": {
    callers: ["none"],
    request: z.strictObject({ id: tokenName }),
    response: z.object({ user: text, name: text, expires: timestamp, webauthn: webauthnJson }),
  },
  "registration.confirm": {
    callers: ["none"],
    request: z.strictObject({ id: tokenName, webauthn: webauthnJson }),
    response: z.object({ user: text }),
  },
  "registration.state": {
    callers: ["user"],
    request: z.strictObject({ registration_id: tokenName }),
    response: z.object({ added: z.boolean() }),
  },
  /** By what a proxy proves to Auth where the clients are whose connections it relays. Base64 of 32 octets. */
  "proxy.relay_key": { callers: ["host"], request: empty, response: z.object({ key: routeKey }) },
  "host.join": {
    callers: ["none"],
    request: z.strictObject({
      token: tokenName,
      roles: z.array(hostRole).min(1),
      host_id: z.uuid(),
      node_name: text,
      csr,
    }),
    response: z.object({ cert: pem, cluster_name: text, host_cas: pems, user_cas: pems }),
  },
  /** The same host and roles, by the present authority. */
  "host.renew": {
    callers: ["host"],
    request: z.strictObject({ csr }),
    response: z.object({ cert: pem, cluster_name: text, host_cas: pems, user_cas: pems }),
  },
  /** One step of a rotation; `init` begins it, and without `phase` too. Every other step is by hand. */
  "authority.rotate": {
    callers: ["user", "admin"],
    request: z.strictObject({
      type: z.enum(["host", "user"]),
      phase: z.enum(ROTATION_PHASES).optional(),
      mode: z.enum(["manual", "auto"]).optional(),
      grace_seconds: z.int().min(1).optional(),
    }),
    response: z.object({ type: text, phase: z.enum(ROTATION_PHASES), generation }),
  },
  "user.invite": {
    callers: ["user", "admin"],
    request: z.strictObject({
      name: resourceName,
      roles: texts,
      traits: traitMap.optional(),
      ttl_seconds: ttlSeconds,
    }),
    response: userLink,
  },
  /** Takes password, devices and sessions from a user, and makes the link by which they set new ones. */
  "user.reset": {
    callers: ["user", "admin"],
    request: z.strictObject({ name: resourceName, ttl_seconds: ttlSeconds }),
    response: userLink,
  },
  "user.sign": {
    callers: ["admin"],
    request: z.strictObject({ user: resourceName, csr, ttl_seconds: ttlSeconds }),
    response: z.object({ cert: pem, cluster_name: text, host_cas: pems, expires: timestamp, proxies: hostPorts }),
  },
  "resource.create": { callers: ["user", "admin", "host"], request: oneResource, response: oneResource },
  /** Conditional on `metadata.revision`. */
  "resource.update": { callers: ["user", "admin", "host"], request: oneResource, response: oneResource },
  "resource.upsert": { callers: ["user", "admin", "host"], request: oneResource, response: oneResource },
  "resource.get": { callers: ["user", "admin", "host", "remote_user"], request: resourceRef, response: oneResource },
  "resource.delete": { callers: ["user", "admin", "host"], request: resourceRef, response: empty },
  "resource.list": {
    callers: ["user", "admin", "host", "remote_user"],
    request: z.strictObject({
      kind: kindSchema,
      start: text.optional(),
      limit: z.int().min(1).max(MAX_PAGE).optional(),
      ...filterFields,
    }),
    response: z.object({ resources: z.array(resourceSchema), next: text.optional() }),
  },
  /** What exists, except what the watcher says it has in the same revision; `init`; then changes. */
  "resource.watch": {
    callers: ["user", "admin", "host", "leaf", "remote_user"],
    request: z.strictObject({ kinds: z.array(kindSchema).min(1), known: knownRevisions.optional() }),
    response: watchEventSchema,
    stream: true,
  },
  "app_session.create": {
    callers: ["user"],
    /**
     * An app of a leaf cluster is named with its address: this cluster does not know it. `mfa` where the
     * user's roles or the cluster ask for a second factor for each session.
     */
    request: z.strictObject({
      app: text,
      cluster: text.optional(),
      public_addr: appPublicAddr.optional(),
      csr,
      mfa: mfaAnswer.optional(),
    }),
    response: appSessionAnswerSchema,
  },
  "app_session.renew": {
    callers: ["user"],
    request: z.strictObject({ session_id: sessionId, csr }),
    response: appSessionAnswerSchema,
  },
  /** Without a session id: all of the caller's. */
  "app_session.end": {
    callers: ["user"],
    request: z.strictObject({ session_id: sessionId.optional() }),
    response: empty,
  },
  "app_session.agents": {
    callers: ["user"],
    request: z.strictObject({ session_id: sessionId }),
    response: z.object({ agents, generation, host_cas: pems }),
  },
  /** The hosts that may answer for an app of this cluster, for sessions that its root issues. */
  "app.agents": {
    callers: ["remote_user"],
    request: z.strictObject({ app: text, public_addr: appPublicAddr }),
    /** `mfa_required`: this cluster's roles want a second factor for the session, whatever the root's say. */
    response: z.object({ agents, generation, host_cas: pems, mfa_required: z.boolean() }),
  },
  /** A leaf asks to be one, by a token that proves itself in both directions: see `auth/federation`. */
  "trust.establish": {
    callers: ["none"],
    request: z.strictObject({ cluster_name: resourceName, host_cas: pems, nonce: hex32, mac: hex32 }),
    response: z.object({ ...rootFacts, mac: hex32 }),
  },
  /** A leaf tells its host authorities, which its present one vouches for, and learns the root's. */
  "trust.renew": {
    callers: ["leaf"],
    request: z.strictObject({ host_cas: pems }),
    response: z.object(rootFacts),
  },
  "audit.emit": {
    callers: ["host"],
    request: z.strictObject({ events: z.array(auditEventSchema).max(MAX_EVENTS) }),
    response: empty,
  },
  "audit.search": {
    callers: ["user", "admin"],
    request: z.strictObject({
      from: timestamp.optional(),
      to: timestamp.optional(),
      types: texts.optional(),
      user: text.optional(),
      /** The latest ones are kept. */
      limit: z.int().min(1).optional(),
    }),
    response: z.object({ events: z.array(auditEventSchema) }),
  },
  /** Follows the log's chain of hashes, and its signatures, from the first record to the last. */
  "audit.verify": {
    callers: ["user", "admin"],
    request: empty,
    response: z.object({
      records: z.int(),
      checkpoints: z.int(),
      unchained: z.int(),
      files: z.int(),
      last_record: z.int(),
      problems: texts,
    }),
  },
} as const satisfies Record<string, RpcContract>;

export type RpcMethod = keyof typeof RPC;
/** What the caller passes. */
export type RpcRequest<M extends RpcMethod> = z.input<(typeof RPC)[M]["request"]>;
/** What the handler receives: the request after its schema. */
export type RpcParsedRequest<M extends RpcMethod> = z.output<(typeof RPC)[M]["request"]>;
export type RpcResponse<M extends RpcMethod> = z.output<(typeof RPC)[M]["response"]>;
export type RpcCallMethod = { [M in RpcMethod]: (typeof RPC)[M] extends { stream: true } ? never : M }[RpcMethod];

export function isRpcMethod(word: string): word is RpcMethod {
  return Object.hasOwn(RPC, word);
}

export const errorEnvelopeSchema = z.object({
  error: z.object({ code: text, message: text, retryable: z.boolean() }),
});
export type ErrorEnvelope = z.infer<typeof errorEnvelopeSchema>;
