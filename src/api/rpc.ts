import { z } from "zod";
import { auditEventSchema } from "./audit-event.ts";
import { routeKey, sessionId } from "./cluster.ts";
import { resourceName, text, texts, timestamp, tokenName, traitMap } from "./common.ts";
import { MAX_EVENTS, MAX_PAGE } from "./limits.ts";
import { kindSchema, resourceSchema } from "./resource.ts";

/**
 * The API: `POST /v1/<method>` with a JSON request, over HTTP/2 and mutual TLS.
 * An answer is 200 with the response, or `ErrorEnvelope` with another status.
 * `resource.watch` answers with JSON lines.
 *
 * Callers are whom the certificate names. `none`: without one. `admin`: the
 * identity kept on the Auth host. `host`: a process with a host certificate.
 * App-route certificates are refused everywhere.
 */
export type Caller = "none" | "user" | "admin" | "host";

export interface RpcContract {
  readonly callers: readonly Caller[];
  readonly request: z.ZodType;
  /** One line of it where `stream`. */
  readonly response: z.ZodType;
  readonly stream?: true;
}

const empty = z.strictObject({});
const pem = text.min(1);
const pems = z.array(pem);
const csr = pem;
const hostPorts = texts;
const generation = z.int().min(0);
const agents = z.array(z.object({ host_id: text }));
const resourceRef = z.strictObject({ kind: kindSchema, name: text });
const oneResource = z.strictObject({ resource: resourceSchema });
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
    callers: ["none", "user", "admin", "host"],
    request: empty,
    response: z.object({ cluster_name: text, version: text, server_time: timestamp, proxies: hostPorts }),
  },
  "cluster.trust": {
    callers: ["none", "user", "admin", "host"],
    request: empty,
    response: z.object({ cluster_name: text, generation, host_cas: pems }),
  },
  "cluster.status": {
    callers: ["user", "admin"],
    request: empty,
    response: z.object({
      cluster_name: text,
      version: text,
      ca_pins: texts,
      authorities: z.array(z.object({ type: text, fingerprint: text, not_after: timestamp })),
    }),
  },
  "login.password": {
    callers: ["none", "user"],
    request: z.strictObject({ user: resourceName, password: text, csr, ttl_seconds: z.int().min(1).optional() }),
    response: z.object({
      cert: pem,
      cluster_name: text,
      generation,
      host_cas: pems,
      expires: timestamp,
      server_time: timestamp,
    }),
  },
  "invite.read": {
    callers: ["none"],
    request: z.strictObject({ token: tokenName }),
    response: z.object({ user: text, expires: timestamp }),
  },
  "invite.accept": {
    callers: ["none"],
    request: z.strictObject({ token: tokenName, password: text }),
    response: z.object({ user: text }),
  },
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
  "user.invite": {
    callers: ["user", "admin"],
    request: z.strictObject({
      name: resourceName,
      roles: texts,
      traits: traitMap.optional(),
      ttl_seconds: z.int().min(1).optional(),
    }),
    response: z.object({ token: tokenName, expires: timestamp, url: text }),
  },
  "user.sign": {
    callers: ["admin"],
    request: z.strictObject({ user: resourceName, csr, ttl_seconds: z.int().min(1).optional() }),
    response: z.object({ cert: pem, cluster_name: text, host_cas: pems, expires: timestamp, proxies: hostPorts }),
  },
  "resource.create": { callers: ["user", "admin", "host"], request: oneResource, response: oneResource },
  /** Conditional on `metadata.revision`. */
  "resource.update": { callers: ["user", "admin", "host"], request: oneResource, response: oneResource },
  "resource.upsert": { callers: ["user", "admin", "host"], request: oneResource, response: oneResource },
  "resource.get": { callers: ["user", "admin", "host"], request: resourceRef, response: oneResource },
  "resource.delete": { callers: ["user", "admin", "host"], request: resourceRef, response: empty },
  "resource.list": {
    callers: ["user", "admin", "host"],
    request: z.strictObject({
      kind: kindSchema,
      start: text.optional(),
      limit: z.int().min(1).max(MAX_PAGE).optional(),
    }),
    response: z.object({ resources: z.array(resourceSchema), next: text.optional() }),
  },
  "resource.watch": {
    callers: ["user", "admin", "host"],
    request: z.strictObject({ kinds: z.array(kindSchema).min(1) }),
    response: watchEventSchema,
    stream: true,
  },
  "app_session.create": {
    callers: ["user"],
    request: z.strictObject({ app: text, cluster: text.optional(), csr }),
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
