import type { EventEmitter } from "node:events";
import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, createServer as createNetServer, type Server as NetServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createServer, type TLSSocket, type Server as TlsServer } from "node:tls";
import {
  AccessDeniedError,
  BadInputError,
  isRpcMethod,
  LimitExceededError,
  parseValue,
  RPC,
  type RpcContract,
  type RpcMethod,
  toErrorEnvelope,
  UnauthenticatedError,
  VersionMismatchError,
} from "../api/mod.ts";
import {
  type Clock,
  type Counters,
  isMalformed,
  type Logger,
  type Malformed,
  OperationError,
  versionObjection,
} from "../base/mod.ts";
import { type Identity, refusalText, TLS_DEFAULTS, verifyChain } from "../pki/mod.ts";
import type { CallContext, RpcCaller, RpcHandlers } from "./contract.ts";
import {
  API_ALPN,
  CALL_TIMEOUT_MS,
  HANDSHAKE_TIMEOUT_MS,
  IDLE_TIMEOUT_MS,
  MAX_CONNECTIONS,
  MAX_REQUEST_LEN,
  MAX_STREAMS,
  VERSION_HEADER,
  WINDOW_LEN,
} from "./limits.ts";
import { type LineTexts, sendWatch } from "./send-watch.ts";

export interface RpcServerOptions {
  /** Auth's own host certificate. */
  certPem: string;
  keyPem: string;
  /** This cluster's name: who is of another one is a leaf, or a root's user. */
  cluster: string;
  /** The user and host authorities of callers, asked at each handshake. */
  authorities(): readonly string[];
  handlers: RpcHandlers;
  clock: Clock;
  log: Logger;
  /** Calls by method and outcome: `rpc.resource.get.ok`, `rpc.resource.get.api.not-found`. */
  counters?: Counters;
  /**
   * Whose connection it is, `address:port`, and what stands before TLS taken off:
   * asked of each, paused. `undefined`: it is closed. By default the peer's own.
   */
  admit?: (socket: Socket) => Promise<string | undefined>;
}

/** The caller, or why its certificate is refused: then every request is answered with that. */
type Verdict = { caller: RpcCaller; expires: number } | { refused: OperationError };

interface Served {
  readonly session: ServerHttp2Session;
  /** The certificate shown, DER; absent for an anonymous caller. */
  readonly certificate: Uint8Array | undefined;
  readonly verdict: Verdict;
  readonly remote: string;
  /** The authority that vouched for the caller is trusted no more. */
  readonly revoked: AbortController;
}

/**
 * Serves the API on TLS sockets with ALPN `tp-auth/1`: its own port's, and raw
 * ones handed to `accept`. A certificate that does not verify is refused with
 * its reason, never taken for an anonymous caller.
 */
export class RpcServer implements AsyncDisposable {
  readonly #o: RpcServerOptions;
  readonly #tls: TlsServer;
  readonly #port: NetServer;
  /** Where the client of each relayed connection is, by the connection's own two ends. */
  readonly #clients = new Map<string, string>();
  readonly #sessions = new Set<Served>();
  /** Raw connections, those in their handshake included: `close` waits for none of them. */
  readonly #sockets = new Set<Duplex>();
  readonly #texts: LineTexts = new WeakMap();
  readonly #abort = new AbortController();

  constructor(options: RpcServerOptions) {
    this.#o = options;
    this.#tls = createServer({
      ...TLS_DEFAULTS,
      cert: options.certPem,
      key: options.keyPem,
      ALPNProtocols: [API_ALPN],
      requestCert: true,
      // Verified by `verifyChain` instead, so that the caller can be told what is wrong.
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      noDelay: true,
      keepAlive: true,
    });
    this.#tls.on("connection", (socket: Duplex) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    this.#port = createNetServer({ pauseOnConnect: true, noDelay: true, keepAlive: true }, (socket) => {
      socket.on("error", () => {}); // What matters of it is told by "close".
      void this.#enter(socket);
    });
    this.#port.maxConnections = MAX_CONNECTIONS;
    this.#tls.on("secureConnection", (socket) => this.#serve(socket));
    this.#tls.on("tlsClientError", (error) => this.#o.log.debug({ error: error.message }, "TLS handshake failed"));
  }

  /** Another certificate of its own from the next handshake on. */
  useCredentials({ certPem, keyPem }: { certPem: string; keyPem: string }): void {
    this.#tls.setSecureContext({ ...TLS_DEFAULTS, cert: certPem, key: keyPem });
  }

  /**
   * Ends the connections of callers whom the present authorities no longer vouch
   * for: watches at once, and calls under way with their answer, since one of
   * them may be what changed the authorities.
   */
  reviewCallers(): void {
    for (const { session, certificate, revoked } of this.#sessions) {
      if (certificate === undefined || !isMalformed(this.#verify(certificate))) continue;
      revoked.abort(new UnauthenticatedError(refusalText("pki.unknown-authority")));
      session.close();
    }
  }

  /** Hosts of this cluster that are connected with a certificate which none of these authorities issued. */
  hostsNotBy(authorities: readonly string[]): string[] {
    const now = this.#o.clock.wallMs();
    const by = { these: new Set<string>(), others: new Set<string>() };
    for (const { certificate, verdict } of this.#sessions) {
      if (certificate === undefined || !("caller" in verdict) || verdict.caller.kind !== "host") continue;
      const known = isMalformed(verifyChain(certificate, authorities, now)) ? by.others : by.these;
      known.add(verdict.caller.hostId);
    }
    return [...by.others.difference(by.these)].sort();
  }

  async listen(host: string, port: number): Promise<{ address: string; port: number }> {
    const server: NetServer & EventEmitter = this.#port;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port }, () => {
        server.removeListener("error", reject);
        resolve();
      });
    });
    const { address, port: bound } = server.address() as AddressInfo;
    return { address, port: bound };
  }

  /** Serves a connection that arrived some other way. Still encrypted: the handshake happens here. */
  accept(raw: Duplex): void {
    this.#tls.emit("connection", raw);
  }

  /** Ends every call and connection. */
  async close(): Promise<void> {
    this.#abort.abort(new Error("the Auth Service is shutting down"));
    const closed = new Promise<void>((resolve) => this.#port.close(() => resolve()));
    for (const { session } of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
    if (this.#port.listening) await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #enter(socket: Socket): Promise<void> {
    const { admit } = this.#o;
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    if (admit !== undefined) {
      const ends = endsOf(socket);
      const client = await admit(socket);
      if (client === undefined || socket.destroyed) return void socket.destroy();
      if (client !== ends) {
        this.#clients.set(ends, client);
        socket.once("close", () => this.#clients.delete(ends));
      }
    }
    this.#tls.emit("connection", socket);
  }

  #serve(socket: TLSSocket): void {
    if (socket.alpnProtocol !== API_ALPN || this.#abort.signal.aborted) return void socket.destroy();
    socket.on("error", () => {});
    const verdict = this.#judge(socket);
    const ends = endsOf(socket);
    const remote = this.#clients.get(ends) ?? ends;
    const session = performServerHandshake(socket as Socket, {
      settings: { initialWindowSize: WINDOW_LEN, maxConcurrentStreams: MAX_STREAMS },
    });
    session.setLocalWindowSize(WINDOW_LEN);
    const certificate = socket.getPeerX509Certificate()?.raw;
    const served: Served = { session, certificate, verdict, remote, revoked: new AbortController() };
    this.#sessions.add(served);
    session.once("close", () => this.#sessions.delete(served));
    session.on("error", () => {});
    session.setTimeout(IDLE_TIMEOUT_MS, () => session.close());
    session.on("stream", (stream: ServerHttp2Stream, headers) => {
      stream.on("error", () => {});
      void this.#answer(stream, headers, served);
    });
  }

  #judge(socket: TLSSocket): Verdict {
    const { raw } = socket.getPeerCertificate();
    if (!raw) return { caller: { kind: "none" }, expires: Number.POSITIVE_INFINITY };
    const expires = Date.parse(socket.getPeerCertificate().valid_to);
    const identity = this.#verify(raw);
    if (isMalformed(identity)) {
      this.#o.log.info({ reason: identity.malformed }, "a caller's certificate was refused");
      return { refused: new UnauthenticatedError(refusalText(identity.malformed)) };
    }
    return identity.cluster === this.#o.cluster ? admit(identity, expires) : admitForeign(identity, expires);
  }

  #verify(certificate: Uint8Array): Identity | Malformed {
    return verifyChain(certificate, this.#o.authorities(), this.#o.clock.wallMs());
  }

  async #answer(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    { verdict, remote, revoked }: Served,
  ): Promise<void> {
    const path = String(headers[":path"]);
    const done = new AbortController();
    stream.once("close", () => done.abort(new Error("the caller gave up")));
    let method: RpcMethod | undefined;
    try {
      const body = await readBody(stream);
      refuseFarVersion(headers[VERSION_HEADER]);
      method = methodOf(String(headers[":method"]), path);
      const contract: RpcContract = RPC[method];
      const caller = this.#allow(verdict, method, contract);
      const request = parseValue(contract.request, parseJson(body));
      const bounds = contract.stream
        ? [this.#untilExpiry(verdict, done), revoked.signal]
        : [AbortSignal.timeout(CALL_TIMEOUT_MS)];
      const signal = AbortSignal.any([done.signal, this.#abort.signal, ...bounds]);
      await this.#carryOut(stream, method, request, { caller, remote, signal });
      this.#o.counters?.count(`rpc.${method}.ok`);
    } catch (error) {
      const code = error instanceof OperationError ? error.code : "internal";
      this.#o.counters?.count(`rpc.${method ?? "unknown"}.${code}`);
      this.#fail(stream, path, error);
    }
  }

  async #carryOut(stream: ServerHttp2Stream, method: RpcMethod, request: unknown, context: CallContext): Promise<void> {
    const { handlers } = this.#o;
    if (method === "resource.watch") {
      const events = handlers[method](request as Parameters<(typeof handlers)["resource.watch"]>[0], context);
      await sendWatch(stream, events, context.signal, this.#texts);
      return;
    }
    const handler = handlers[method] as (request: unknown, context: CallContext) => unknown;
    respond(stream, 200, await handler(request, context));
  }

  #allow(verdict: Verdict, method: RpcMethod, contract: RpcContract): RpcCaller {
    if ("refused" in verdict) throw verdict.refused;
    if (this.#o.clock.wallMs() > verdict.expires) throw new UnauthenticatedError(refusalText("pki.expired"));
    const { caller } = verdict;
    if (contract.callers.includes(caller.kind)) return caller;
    if (caller.kind === "none") throw new UnauthenticatedError(`${method} needs a certificate: log in first`);
    const adminOnly = contract.callers.every((kind) => kind === "admin");
    const remedy = adminOnly ? ": it is done on the host of the Auth Service, where tctl needs no login" : "";
    throw new AccessDeniedError(`${method} is not for a ${caller.kind}${remedy}`);
  }

  /** A watch ends with the certificate that opened it. */
  #untilExpiry(verdict: Verdict, done: AbortController): AbortSignal {
    const expired = new AbortController();
    if (!("expires" in verdict)) return expired.signal;
    const leftMs = verdict.expires - this.#o.clock.wallMs();
    if (leftMs > MAX_TIMER_MS) return expired.signal;
    const timer = this.#o.clock.after(leftMs, () =>
      expired.abort(new UnauthenticatedError(refusalText("pki.expired"))),
    );
    done.signal.addEventListener("abort", () => timer.cancel(), { once: true });
    return expired.signal;
  }

  #fail(stream: ServerHttp2Stream, path: string, error: unknown): void {
    if (!(error instanceof OperationError) && !stream.destroyed) {
      this.#o.log.error({ path, error }, "a request failed by a bug");
    }
    const { status, envelope } = toErrorEnvelope(error);
    respond(stream, status, envelope);
  }
}

function endsOf({ remoteAddress = "unknown", remotePort = 0 }: Socket): string {
  return `${remoteAddress}:${remotePort}`;
}

/** Longer waits overflow Node's timers. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function admit(identity: Identity, expires: number): Verdict {
  switch (identity.kind) {
    case "app":
      return {
        refused: new AccessDeniedError("an app certificate opens connections to its app only; log in for the API"),
      };
    case "admin":
    case "host":
    case "user":
      return { caller: identity, expires };
  }
}

/** Of another cluster: authorities are asked for only where there is a trust between the two. */
function admitForeign(identity: Identity, expires: number): Verdict {
  if (identity.kind === "user") return { caller: { ...identity, kind: "remote_user" }, expires };
  const { cluster } = identity;
  if (identity.kind === "host" && identity.roles.includes("Auth")) {
    return { caller: { kind: "leaf", cluster, hostId: identity.hostId }, expires };
  }
  return {
    refused: new AccessDeniedError(`this API is not for a ${identity.kind} of cluster ${JSON.stringify(cluster)}`),
  };
}

/** A program that does not say its version is not one of ours, and judged by what it asks. */
function refuseFarVersion(version: string | string[] | undefined): void {
  const objection = version === undefined ? undefined : versionObjection(String(version));
  if (objection !== undefined) throw new VersionMismatchError(objection);
}

function methodOf(verb: string, path: string): RpcMethod {
  const method = /^\/v1\/([a-z_.]{1,64})$/.exec(path)?.[1];
  if (verb !== "POST" || method === undefined || !isRpcMethod(method)) {
    throw new BadInputError(`unknown method ${verb} ${path.slice(0, 80)}: this server may be older than the client`);
  }
  return method;
}

async function readBody(stream: ServerHttp2Stream): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  // Not destroyed when left early: the refusal is still to be sent on it.
  for await (const part of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MAX_REQUEST_LEN) throw new LimitExceededError(`the request is larger than ${MAX_REQUEST_LEN} octets`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new BadInputError("the request is not JSON");
  }
}

function respond(stream: ServerHttp2Stream, status: number, body: unknown): void {
  if (stream.destroyed || stream.closed) return;
  if (stream.headersSent) return void stream.end(`${JSON.stringify(body)}\n`);
  stream.respond({ [constants.HTTP2_HEADER_STATUS]: status, "content-type": "application/json" });
  stream.end(JSON.stringify(body));
  // A body that was refused before its end is not read further (RFC 9113 §8.1).
  if (!stream.readableEnded) stream.once("finish", () => stream.close(constants.NGHTTP2_NO_ERROR));
}
