import type { AppSessionAnswer } from "../api/mod.ts";
import { type Clock, type Logger, messageOf, systemClock, type Timer } from "../base/mod.ts";
import { createCsr, generateKeyPair, type KeyPair } from "../pki/mod.ts";
import type { AppSession } from "../tunnel/mod.ts";
import type { AppRef, AppSessions } from "./app-sessions.ts";
import { RENEW_AGAIN_MS, RENEW_RETRY_MS, RENEW_TIMEOUT_MS, SESSION_END_MS } from "./limits.ts";

/** An app session with the key that never leaves this process. */
export interface HeldSession {
  readonly answer: AppSessionAnswer;
  readonly keys: KeyPair;
  /** Monotonic: when the certificate was asked for. */
  readonly askedAt: number;
  /** From then on the certificate is renewed before it is used. */
  readonly renewAt: number;
  readonly endsAt: number;
}

/** Who uses a session's certificate after it was handed out. */
export interface SessionUser {
  /** Its certificate is to be renewed in time, although nobody asks for it. */
  inUse(): boolean;
  /** It has another certificate. */
  renewed(): void;
}

/** The session of one app: opened when first needed, its certificate renewed at half its life. */
export class SessionKeeper {
  readonly #sessions: AppSessions;
  readonly #app: AppRef;
  readonly #log: Logger;
  readonly #signal: AbortSignal;
  readonly #clock: Clock;
  readonly #user: SessionUser;
  #session: HeldSession | undefined;
  #renewing: Promise<HeldSession> | undefined;
  #timer: Timer | undefined;

  constructor(
    sessions: AppSessions,
    app: AppRef,
    log: Logger,
    signal: AbortSignal,
    user: SessionUser,
    clock: Clock = systemClock,
  ) {
    this.#sessions = sessions;
    this.#user = user;
    this.#app = app;
    this.#log = log;
    this.#signal = signal;
    this.#clock = clock;
  }

  /** The living session, or a new one. */
  async usable(): Promise<HeldSession> {
    const session = this.#session;
    if (session !== undefined && this.#clock.now() < session.endsAt) return this.#renewed(session);
    const keys = await generateKeyPair();
    return this.#adopt(await this.#ask(keys, (csr) => this.#sessions.create(this.#app, csr, this.#signal)));
  }

  /**
   * For a link of this session: the same one with its present certificate, old
   * or new. `refused`: an agent may not have liked the one that is at hand.
   */
  async present(session: HeldSession, refused = false): Promise<HeldSession> {
    if (!this.#isCurrent(session)) return session;
    if (refused) this.renewSoon();
    return this.#renewed(this.#session!);
  }

  /** The certificate is, or will be, of no use, although its time is not over. */
  renewSoon(waitMs = 0): void {
    const session = this.#session;
    if (session === undefined) return;
    const renewAt = Math.max(this.#clock.now() + waitMs, session.askedAt + RENEW_AGAIN_MS);
    if (renewAt < session.renewAt) this.#adopt({ ...session, renewAt });
  }

  /** It is of no use any more; the next use opens another. Answers its id. */
  forget(): string | undefined {
    const id = this.#session?.answer.session_id;
    this.#session = undefined;
    this.#timer?.cancel();
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

  #isCurrent({ answer }: HeldSession): boolean {
    return this.#session?.answer.session_id === answer.session_id;
  }

  #adopt(session: HeldSession): HeldSession {
    this.#session = session;
    this.#timer?.cancel();
    this.#timer = this.#clock.after(Math.max(0, session.renewAt - this.#clock.now()), () => this.#due());
    return session;
  }

  /** Without a user the next one renews. */
  #due(): void {
    const session = this.#session;
    if (session === undefined || this.#clock.now() >= session.endsAt || !this.#user.inUse()) return;
    void this.#renewOnce(session);
  }

  async #renewed(session: HeldSession): Promise<HeldSession> {
    return this.#clock.now() < session.renewAt ? session : this.#renewOnce(session);
  }

  /** Several who need it at once share the answer. */
  #renewOnce(session: HeldSession): Promise<HeldSession> {
    this.#renewing ??= this.#renew(session).finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  /** Same key, same session: no new second factor is asked for. While Auth is away the old certificate serves. */
  async #renew(session: HeldSession): Promise<HeldSession> {
    try {
      const renewed = await this.#ask(session.keys, (csr) =>
        this.#sessions.renew(
          session.answer,
          csr,
          AbortSignal.any([this.#signal, AbortSignal.timeout(RENEW_TIMEOUT_MS)]),
        ),
      );
      if (this.#isCurrent(session)) {
        this.#adopt(renewed);
        this.#user.renewed();
      }
      return renewed;
    } catch (error) {
      this.#log.debug({ app: this.#app.name, error: messageOf(error) }, "the session cannot be renewed yet");
      const now = this.#clock.now();
      const later = { ...session, askedAt: now, renewAt: now + RENEW_RETRY_MS };
      return this.#isCurrent(session) ? this.#adopt(later) : later;
    }
  }

  async #ask(keys: KeyPair, call: (csr: string) => Promise<AppSessionAnswer>): Promise<HeldSession> {
    const answer = await call(await createCsr(keys));
    // Only Auth's clock counts: how long the certificate lives, from now.
    const livesMs = Date.parse(answer.expires) - Date.parse(answer.server_time);
    const now = this.#clock.now();
    // A certificate that ends with its login cannot be prolonged, and is not asked for again and again.
    const renewAt = now + Math.max(livesMs / 2, RENEW_RETRY_MS);
    return { answer, keys, askedAt: now, renewAt, endsAt: now + livesMs };
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
