import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import type { Kind, KnownRevisions } from "../api/mod.ts";
import { type Logger, messageOf, raced, silentLogger, sleep } from "../base/mod.ts";
import { Backoff } from "./backoff.ts";
import { answerOf, failureOf, openRequest } from "./call.ts";
import { type ClientIdentity, type ClusterTrust, connectApi, type Dial } from "./connection.ts";
import type { Method, RequestOf, ResponseOf, WatchEventOf } from "./contract.ts";
import { CallTimeoutError, ConnectionLostError } from "./errors.ts";
import { CALL_TIMEOUT_MS } from "./limits.ts";
import { watchLines } from "./watch.ts";

export interface RpcClientOptions {
  dial: Dial;
  trust: ClusterTrust;
  /** Absent: an anonymous caller (login, joining). */
  identity?: ClientIdentity | undefined;
  /** For a relay's dispatch: the proxy's public name. */
  servername?: string | undefined;
  /** The API of this leaf cluster is meant; the proxy is its root's. */
  leaf?: string | undefined;
  log?: Logger;
  /** Of this program; another one in tests only. */
  version?: string;
}

export interface CallOptions {
  signal?: AbortSignal;
  /** Connecting included; 10 s by default. */
  timeoutMs?: number;
}

/**
 * Calls Auth over one HTTP/2 connection, made when first needed and again when
 * it is lost. A failed attempt makes the next one wait (100 ms to 4 s, with
 * jitter); a call waits for that no longer than its own bound.
 */
export class RpcClient implements AsyncDisposable {
  readonly #options: RpcClientOptions;
  readonly #log: Logger;
  readonly #abort = new AbortController();
  readonly #backoff = new Backoff();
  readonly #watches = new Set<ClientHttp2Stream>();
  #observer: ((done: Promise<unknown>) => void) | undefined;
  #identity: ClientIdentity | undefined;
  #trust: ClusterTrust;
  #session: ClientHttp2Session | undefined;
  #connecting: Promise<ClientHttp2Session> | undefined;
  /** When the next attempt may start, `performance.now()`. */
  #notBefore = 0;

  constructor(options: RpcClientOptions) {
    this.#options = options;
    this.#identity = options.identity;
    this.#trust = options.trust;
    this.#log = options.log ?? silentLogger;
  }

  /**
   * One request. Rejects with the error class that Auth's handler threw, or
   * `ConnectionLostError`, `CallTimeoutError`, `UntrustedServerError`. Nothing
   * is sent twice.
   */
  call<M extends Method>(method: M, request: RequestOf<M>, o: CallOptions = {}): Promise<ResponseOf<M>> {
    const done = this.#call(method, request, o);
    this.#observer?.(done);
    return done;
  }

  /** Tells of every call from now on, as it begins: a program may show that one takes long. */
  observe(observer: (done: Promise<unknown>) => void): void {
    this.#observer = observer;
  }

  async #call<M extends Method>(method: M, request: RequestOf<M>, o: CallOptions): Promise<ResponseOf<M>> {
    const timeoutMs = o.timeoutMs ?? CALL_TIMEOUT_MS;
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = this.#bounded(timeout, o.signal);
    try {
      return await answerOf(method, await this.#post(method, request, signal), signal);
    } catch (error) {
      if (error !== timeout.reason) throw error;
      throw new CallTimeoutError(`no answer from the Auth Service within ${timeoutMs / 1000} s`, { cause: error });
    }
  }

  /**
   * One watch: what exists, `init`, then changes, until the consumer stops or
   * `signal` is aborted. Of what is `known` already, only the difference comes
   * before `init`, deletions too. Ends by an error when the connection is lost or the
   * server cuts it off; `CachedView` starts again by itself.
   */
  async *watch<K extends Kind>(
    kinds: readonly K[],
    signal?: AbortSignal,
    known?: KnownRevisions,
  ): AsyncGenerator<WatchEventOf<K>> {
    const bound = this.#bounded(signal);
    const stream = await this.#post("resource.watch", { kinds, ...(known && { known }) }, bound);
    this.#watches.add(stream);
    try {
      for await (const line of watchLines(stream, bound)) {
        if ("error" in line) throw failureOf(line);
        if (line.type !== "alive") yield line as WatchEventOf<K>;
      }
    } finally {
      this.#watches.delete(stream);
      stream.close(constants.NGHTTP2_CANCEL);
    }
  }

  /** Shows another certificate from now on; calls under way finish on the old connection, watches end there. */
  useIdentity(identity: ClientIdentity | undefined): void {
    this.#identity = identity;
    for (const stream of this.#watches) stream.close(constants.NGHTTP2_CANCEL);
    this.#session?.close();
    this.#session = undefined;
  }

  /** Other authorities of the same cluster from the next connection on: its key is being replaced. */
  useTrust(trust: ClusterTrust): void {
    this.#trust = trust;
  }

  /** Whether a connection is open now. */
  get connected(): boolean {
    return this.#session !== undefined;
  }

  close(): Promise<void> {
    this.#abort.abort(new ConnectionLostError("the client was closed"));
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined || session.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      session.once("close", resolve);
      session.destroy();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #bounded(...signals: (AbortSignal | undefined)[]): AbortSignal {
    return AbortSignal.any([this.#abort.signal, ...signals.filter((signal) => signal !== undefined)]);
  }

  async #post(method: string, request: unknown, signal: AbortSignal): Promise<ClientHttp2Stream> {
    for (let attempt = 1; ; attempt++) {
      const session = await raced(this.#connected(), signal);
      try {
        return openRequest(session, method, request, this.#options.version);
      } catch (error) {
        // The session ended between two turns: nothing was sent, so once more is safe.
        if (this.#session === session) this.#session = undefined;
        if (attempt > 1) throw new ConnectionLostError(`connection to the Auth Service lost: ${messageOf(error)}`);
      }
    }
  }

  #connected(): Promise<ClientHttp2Session> {
    const session = this.#session;
    if (session && !session.closed && !session.destroyed) return Promise.resolve(session);
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #connect(): Promise<ClientHttp2Session> {
    const waitMs = this.#notBefore - performance.now();
    if (waitMs > 0) await sleep(waitMs, this.#abort.signal);
    const { dial, servername, leaf } = this.#options;
    const identity = this.#identity;
    const trust = this.#trust;
    try {
      const { session } = await connectApi({ dial, trust, identity, servername, leaf }, this.#abort.signal);
      this.#backoff.reset();
      this.#adopt(session, identity);
      return session;
    } catch (error) {
      this.#notBefore = performance.now() + this.#backoff.nextMs();
      this.#log.debug({ error: messageOf(error) }, "connecting to the Auth Service failed");
      throw error;
    }
  }

  #adopt(session: ClientHttp2Session, identity: ClientIdentity | undefined): void {
    const forget = () => {
      if (this.#session === session) this.#session = undefined;
    };
    session.once("goaway", forget);
    session.once("close", forget);
    // Another identity was set while the handshake ran: those who wait still use this one, nobody after them.
    if (this.#abort.signal.aborted) session.destroy();
    else if (this.#identity === identity) this.#session = session;
  }
}
