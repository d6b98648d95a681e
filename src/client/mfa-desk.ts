import { type MfaAnswer, MfaRequiredError, UnauthenticatedError } from "../api/mod.ts";
import { messageOf, raced } from "../base/mod.ts";
import type { RequestOf, ResponseOf, RpcClient } from "../rpc/mod.ts";
import { SecondFactorUnansweredError } from "./errors.ts";
import { MAX_MFA_QUESTIONS, MFA_PROMPT_MS, MFA_TRIES } from "./limits.ts";
import { answerMfa, type MfaPerson } from "./mfa.ts";

type SessionRequest = RequestOf<"app_session.create">;

export interface MfaDeskOptions {
  /** Whoever can be asked at this moment. */
  readonly person: () => MfaPerson;
  /** Tells them one line. */
  readonly tell: (line: string) => void;
  readonly promptMs?: number;
}

/**
 * Where app sessions get their second factor: one question at a time, however
 * many connections and clusters wait, and one for each session.
 */
export class MfaDesk {
  readonly #o: MfaDeskOptions;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: MfaDeskOptions) {
    this.#o = options;
  }

  /**
   * The session that `request` asks for, with a second factor where Auth wants
   * one. Throws `SecondFactorUnansweredError` where nobody gives it in time.
   */
  async openSession(
    rpc: RpcClient,
    request: SessionRequest,
    signal: AbortSignal,
  ): Promise<ResponseOf<"app_session.create">> {
    try {
      return await rpc.call("app_session.create", request, { signal });
    } catch (error) {
      if (!(error instanceof MfaRequiredError)) throw error;
      return this.openWithFactor(rpc, request, signal);
    }
  }

  /** The same where it is known already that a second factor is wanted: by a leaf, of which `rpc`'s Auth knows nothing. */
  openWithFactor(
    rpc: RpcClient,
    request: SessionRequest,
    signal: AbortSignal,
  ): Promise<ResponseOf<"app_session.create">> {
    return this.#inTurn(() => this.#ask(rpc, request, signal), signal);
  }

  async #ask(rpc: RpcClient, request: SessionRequest, signal: AbortSignal): Promise<ResponseOf<"app_session.create">> {
    const { promptMs = MFA_PROMPT_MS, tell } = this.#o;
    const { app, cluster } = request;
    const bound = AbortSignal.any([signal, AbortSignal.timeout(promptMs)]);
    tell(`The app ${named(app, cluster)} asks for a second factor for this session.`);
    for (let tries = 1; ; tries++) {
      const mfa = await this.#answer(rpc, request, bound, signal);
      try {
        return await rpc.call("app_session.create", { ...request, mfa }, { signal });
      } catch (error) {
        if (!(error instanceof UnauthenticatedError) || tries >= MFA_TRIES) throw error;
        tell(messageOf(error));
      }
    }
  }

  async #answer(
    rpc: RpcClient,
    { app, cluster }: SessionRequest,
    bound: AbortSignal,
    signal: AbortSignal,
  ): Promise<MfaAnswer> {
    const about = { scope: "user_session", app, ...(cluster !== undefined && { cluster }) } as const;
    try {
      const challenge = await rpc.call("mfa.challenge", about, { signal: bound });
      return await answerMfa(rpc, challenge, this.#o.person(), bound);
    } catch (cause) {
      if (signal.aborted || !bound.aborted) throw cause;
      const { promptMs = MFA_PROMPT_MS } = this.#o;
      throw new SecondFactorUnansweredError(
        `nobody gave the second factor for the app ${named(app, cluster)} within ${promptMs / 1000} s: connect again to be asked again`,
        { cause },
      );
    }
  }

  async #inTurn<T>(run: () => Promise<T>, signal: AbortSignal): Promise<T> {
    if (this.#waiting >= MAX_MFA_QUESTIONS) {
      throw new SecondFactorUnansweredError(
        `${MAX_MFA_QUESTIONS} apps wait for a second factor already: answer those first`,
      );
    }
    this.#waiting++;
    const turn = this.#last.then(() => {
      signal.throwIfAborted();
      return run();
    });
    this.#last = turn.catch(() => {});
    try {
      return await raced(turn, signal);
    } finally {
      this.#waiting--;
    }
  }
}

function named(app: string, cluster: string | undefined): string {
  return cluster === undefined ? JSON.stringify(app) : `${JSON.stringify(app)} of ${cluster}`;
}
