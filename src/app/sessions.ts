import type { AppSession, Kind } from "../api/mod.ts";
import type { Clock, Timer } from "../base/mod.ts";
import { awaitEntry, type CachedView } from "../rpc/mod.ts";
import { SESSION_SWEEP_MS, UNKNOWN_SESSION_WAIT_MS } from "./limits.ts";

/** The kinds of resource that an agent follows; `app` only where it serves some of them. */
export const AGENT_KINDS = [
  "app",
  "app_session",
  "app_server",
  "role",
  "cert_authority",
  "proxy",
  "lock",
  "cluster_auth_preference",
  "cluster_networking_config",
] as const satisfies Kind[];
export type AgentView = CachedView<(typeof AGENT_KINDS)[number]>;
type ReadView = Pick<AgentView, "get" | "onChange">;

/**
 * Which app sessions live, and an end to the links of those that do not. While
 * Auth is away the last view counts (`best_effort`); a session's own expiry is
 * seen without Auth.
 */
export class Sessions {
  readonly #view: ReadView;
  readonly #clock: Clock;
  readonly #cut: (sessionId: string, message: string) => void;
  /** Links per session. */
  readonly #links = new Map<string, number>();
  readonly #unsubscribe: () => void;
  #sweep: Timer;

  /** `cut` ends all links of a session. */
  constructor(view: ReadView, clock: Clock, cut: (sessionId: string, message: string) => void) {
    this.#view = view;
    this.#clock = clock;
    this.#cut = cut;
    this.#unsubscribe = view.onChange((change) => {
      if (change.kind === "app_session") this.#check(change.name);
    });
    this.#sweep = this.#schedule();
  }

  get(id: string): AppSession | undefined {
    return this.#view.get("app_session", id);
  }

  /** For a new link: a session made a moment ago may still be on its way. */
  find(id: string): Promise<AppSession | undefined> {
    return awaitEntry(this.#view, "app_session", id, { clock: this.#clock, timeoutMs: UNKNOWN_SESSION_WAIT_MS });
  }

  /** A link of this session lives until `closed`. */
  addLink(id: string, closed: Promise<unknown>): void {
    this.#links.set(id, (this.#links.get(id) ?? 0) + 1);
    void closed.then(() => {
      const left = (this.#links.get(id) ?? 1) - 1;
      if (left === 0) this.#links.delete(id);
      else this.#links.set(id, left);
    });
    this.#check(id); // It may have ended while the link was made.
  }

  close(): void {
    this.#unsubscribe();
    this.#sweep.cancel();
  }

  #check(id: string): void {
    if (!this.#links.has(id)) return;
    const session = this.get(id);
    if (session === undefined) this.#cut(id, "the app session was ended");
    else if (Date.parse(session.spec.expires) <= this.#clock.wallMs()) this.#cut(id, "the app session has expired");
  }

  #schedule(): Timer {
    return this.#clock.after(SESSION_SWEEP_MS, () => {
      for (const id of this.#links.keys()) this.#check(id);
      this.#sweep = this.#schedule();
    });
  }
}
