import type { AppSessionAnswer } from "../api/mod.ts";
import { type ByteStream, Counters, type Logger, messageOf, raced, systemClock, systemRandom } from "../base/mod.ts";
import { LinkClosedError, LinkDrainingError, LinkRefusedError } from "../link/mod.ts";
import { createCsr, generateKeyPair, type KeyPair } from "../pki/mod.ts";
import { type AppLink, dialAppLink, RouteCounters, SessionUnknownError } from "../tunnel/mod.ts";
import type { AppRef, AppSessions } from "./app-sessions.ts";

/** A link that fails as it opens a stream is replaced once; then the user is told. */
const MAX_ATTEMPTS = 2;
/** For an agent's answer to OPEN: longer than its own dialling (4.5 s), and a new connection is refused within 5 s. */
const OPEN_TIMEOUT_MS = 4_800;

/** A cluster that does not answer ends the session by itself, later. */
const SESSION_END_MS = 2_000;

/** An app session with the key that never leaves this process. */
interface Session {
  readonly answer: AppSessionAnswer;
  readonly keys: KeyPair;
  /** Monotonic: from then on the certificate is renewed before the next link. */
  readonly renewAt: number;
  readonly endsAt: number;
}

export interface AppConnectionsOptions {
  readonly sessions: AppSessions;
  /** The proxy that the user logged in to, asked before those that Auth names. */
  readonly proxyAddress: string;
  readonly log: Logger;
}

/**
 * Connections to the apps of one cluster: per app one session and one link,
 * made when first needed, made again when lost. Sessions end with `close`.
 */
export class AppConnections implements AsyncDisposable {
  readonly #options: AppConnectionsOptions;
  readonly #apps = new Map<string, AppConnection>();

  constructor(options: AppConnectionsOptions) {
    this.#options = options;
  }

  /** Resolves when the app's own server has accepted. */
  dial(app: AppRef, port: number, signal: AbortSignal): Promise<ByteStream> {
    const key = `${app.name}\0${app.publicAddr}`;
    let connection = this.#apps.get(key);
    if (connection === undefined) {
      connection = new AppConnection(app, this.#options);
      this.#apps.set(key, connection);
    }
    return connection.dial(port, signal);
  }

  async close(): Promise<void> {
    const connections = [...this.#apps.values()];
    this.#apps.clear();
    await Promise.all(connections.map((connection) => connection.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

class AppConnection {
  readonly #ref: AppRef;
  readonly #app: string;
  readonly #options: AppConnectionsOptions;
  readonly #routes = new RouteCounters();
  readonly #instance = systemRandom(8);
  readonly #counters = new Counters();
  readonly #abort = new AbortController();
  #session: Session | undefined;
  #link: AppLink | undefined;
  /** Several connections at once share the making of a link. */
  #linking: Promise<AppLink> | undefined;

  constructor(app: AppRef, options: AppConnectionsOptions) {
    this.#ref = app;
    this.#app = app.name;
    this.#options = options;
  }

  async dial(port: number, signal: AbortSignal): Promise<ByteStream> {
    for (let attempt = 1; ; attempt++) {
      const { link } = await raced(this.#usableLink(), signal);
      try {
        return await link.open(port, { signal });
      } catch (error) {
        if (attempt >= MAX_ATTEMPTS || !this.#worthAnotherLink(error)) throw error;
        this.#options.log.debug({ app: this.#app, error: messageOf(error) }, "the link is of no use; making another");
      }
    }
  }

  async close(): Promise<void> {
    this.#abort.abort(new Error("closed"));
    this.#link?.link.close("done");
    await this.#endSession();
  }

  /** Forgets what `error` proves useless. */
  #worthAnotherLink(error: unknown): boolean {
    // Or the OPEN and the agent's word that it drains have crossed.
    if (error instanceof LinkDrainingError || (error instanceof LinkRefusedError && error.refusal === "draining")) {
      this.#link = undefined;
      return true;
    }
    if (error instanceof LinkRefusedError && error.refusal === "session-ended") {
      this.#forgetSession();
      return true;
    }
    return error instanceof LinkClosedError && error.retryable;
  }

  #usableLink(): Promise<AppLink> {
    const current = this.#link;
    if (current !== undefined && !current.link.ended && !current.link.draining) return Promise.resolve(current);
    this.#linking ??= this.#newLink().finally(() => {
      this.#linking = undefined;
    });
    return this.#linking;
  }

  async #newLink(): Promise<AppLink> {
    for (let attempt = 1; ; attempt++) {
      const session = await this.#usableSession();
      try {
        const made = await this.#dialLink(session);
        this.#link = made;
        return made;
      } catch (error) {
        // The session may have been ended on the other side (logout, restart of the cluster).
        if (attempt >= MAX_ATTEMPTS || !sessionMayBeOver(error)) throw error;
        this.#forgetSession();
      }
    }
  }

  #dialLink(session: Session): Promise<AppLink> {
    const { answer, keys } = session;
    const { proxyAddress, log, sessions } = this.#options;
    return dialAppLink({
      session: {
        sessionId: answer.session_id,
        cluster: answer.cluster,
        certPem: answer.cert,
        keyPem: keys.keyPem,
        hostCas: answer.host_cas,
        hostIds: answer.agents.map((agent) => agent.host_id),
        routeKey: new Uint8Array(Buffer.from(answer.route_key, "base64")),
      },
      proxies: [...new Set([proxyAddress, ...answer.proxies])],
      routes: this.#routes,
      instance: this.#instance,
      refreshAgents: async (signal) => {
        const now = await sessions.agents(answer, signal);
        return { hostIds: now.agents.map((agent) => agent.host_id), hostCas: now.host_cas };
      },
      signal: this.#abort.signal,
      openTimeoutMs: OPEN_TIMEOUT_MS,
      clock: systemClock,
      counters: this.#counters,
      log,
    });
  }

  async #usableSession(): Promise<Session> {
    const now = systemClock.now();
    const session = this.#session;
    if (session === undefined || now >= session.endsAt) {
      this.#session = await this.#ask(await generateKeyPair(), (csr) =>
        this.#options.sessions.create(this.#ref, csr, this.#abort.signal),
      );
    } else if (now >= session.renewAt) {
      // Same key, same session: no new second factor is asked for.
      this.#session = await this.#ask(session.keys, (csr) =>
        this.#options.sessions.renew(session.answer, csr, this.#abort.signal),
      ).catch((error) => {
        this.#options.log.debug({ app: this.#app, error: messageOf(error) }, "the session cannot be renewed yet");
        return session;
      });
    }
    return this.#session as Session;
  }

  async #ask(keys: KeyPair, call: (csr: string) => Promise<AppSessionAnswer>): Promise<Session> {
    const answer = await call(await createCsr(keys));
    // Only Auth's clock counts: how long the certificate lives, from now.
    const livesMs = Date.parse(answer.expires) - Date.parse(answer.server_time);
    const now = systemClock.now();
    return { answer, keys, renewAt: now + livesMs / 2, endsAt: now + livesMs };
  }

  #forgetSession(): void {
    if (this.#session) this.#routes.forget(this.#session.answer.session_id);
    this.#session = undefined;
    this.#link?.link.close("done");
    this.#link = undefined;
  }

  async #endSession(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined) return;
    try {
      await this.#options.sessions.end(session.answer.session_id, SESSION_END_MS);
    } catch (error) {
      this.#options.log.debug({ app: this.#app, error: messageOf(error) }, "the app session ends by itself later");
    }
  }
}

function sessionMayBeOver(error: unknown): boolean {
  if (error instanceof LinkClosedError) return error.closeCode === "session-ended";
  return error instanceof SessionUnknownError;
}
