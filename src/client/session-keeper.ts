import type { AppSessionAnswer } from "../api/mod.ts";
import { type Clock, type Logger, messageOf, systemClock } from "../base/mod.ts";
import { createCsr, generateKeyPair, type KeyPair } from "../pki/mod.ts";
import type { AppSession } from "../tunnel/mod.ts";
import type { AppRef, AppSessions } from "./app-sessions.ts";
import { RENEW_RETRY_MS, RENEW_TIMEOUT_MS, SESSION_END_MS } from "./limits.ts";

/** An app session with the key that never leaves this process. */
export interface HeldSession {
  readonly answer: AppSessionAnswer;
  readonly keys: KeyPair;
  /** Monotonic: from then on the certificate is renewed before it is used. */
  readonly renewAt: number;
  readonly endsAt: number;
}

/** The session of one app: opened when first needed, its certificate renewed at half its life. */
export class SessionKeeper {
  readonly #sessions: AppSessions;
  readonly #app: AppRef;
  readonly #log: Logger;
  readonly #signal: AbortSignal;
  readonly #clock: Clock;
  #session: HeldSession | undefined;

  constructor(sessions: AppSessions, app: AppRef, log: Logger, signal: AbortSignal, clock: Clock = systemClock) {
    this.#sessions = sessions;
    this.#app = app;
    this.#log = log;
    this.#signal = signal;
    this.#clock = clock;
  }

  /** The living session, or a new one. */
  async usable(): Promise<HeldSession> {
    const session = this.#session;
    if (session !== undefined && this.#clock.now() < session.endsAt) return this.#renewed(session);
    this.#session = await this.#ask(await generateKeyPair(), (csr) =>
      this.#sessions.create(this.#app, csr, this.#signal),
    );
    return this.#session;
  }

  /** For a link of this session: the same one with its present certificate, old or new. */
  async present(session: HeldSession): Promise<HeldSession> {
    const current = this.#session;
    return current?.answer.session_id === session.answer.session_id ? this.#renewed(current) : session;
  }

  /** It is of no use any more; the next use opens another. Answers its id. */
  forget(): string | undefined {
    const id = this.#session?.answer.session_id;
    this.#session = undefined;
    return id;
  }

  async end(): Promise<void> {
    const id = this.forget();
    if (id === undefined) return;
    try {
      await this.#sessions.end(id, SESSION_END_MS);
    } catch (error) {
      this.#log.debug({ app: this.#app.name, error: messageOf(error) }, "the app session ends by itself later");
    }
  }

  /** Same key, same session: no new second factor is asked for. While Auth is away the old certificate serves. */
  async #renewed(session: HeldSession): Promise<HeldSession> {
    const now = this.#clock.now();
    if (now < session.renewAt) return session;
    const { session_id } = session.answer;
    try {
      const renewed = await this.#ask(session.keys, (csr) =>
        this.#sessions.renew(
          session.answer,
          csr,
          AbortSignal.any([this.#signal, AbortSignal.timeout(RENEW_TIMEOUT_MS)]),
        ),
      );
      if (this.#session?.answer.session_id === session_id) this.#session = renewed;
      return renewed;
    } catch (error) {
      this.#log.debug({ app: this.#app.name, error: messageOf(error) }, "the session cannot be renewed yet");
      const later = { ...session, renewAt: now + RENEW_RETRY_MS };
      if (this.#session?.answer.session_id === session_id) this.#session = later;
      return later;
    }
  }

  async #ask(keys: KeyPair, call: (csr: string) => Promise<AppSessionAnswer>): Promise<HeldSession> {
    const answer = await call(await createCsr(keys));
    // Only Auth's clock counts: how long the certificate lives, from now.
    const livesMs = Date.parse(answer.expires) - Date.parse(answer.server_time);
    const now = this.#clock.now();
    return { answer, keys, renewAt: now + livesMs / 2, endsAt: now + livesMs };
  }
}

/** What the tunnel needs to know of a session. */
export function tunnelSession({ answer, keys }: HeldSession): AppSession {
  return {
    sessionId: answer.session_id,
    cluster: answer.cluster,
    certPem: answer.cert,
    keyPem: keys.keyPem,
    hostCas: answer.host_cas,
    hostIds: answer.agents.map((agent) => agent.host_id),
    routeKey: new Uint8Array(Buffer.from(answer.route_key, "base64")),
  };
}
