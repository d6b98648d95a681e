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

/** Of one session: how many, and its end as last heard of (milliseconds since 1970). */
interface SessionLinks {
  count: number;
  expires?: number;
}

/**
 * Which app sessions live, and an end to the links of those that do not. While
 * Auth is away the last view counts (`best_effort`); a session's own expiry is
 * seen without Auth.
 */
export class Sessions {
  readonly #view: ReadView;
  readonly #clock: Clock;
  readonly #cut: (sessionId: string, message: string) => void;
  readonly #links = new Map<string, SessionLinks>();
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
    const links = this.#links.get(id) ?? { count: 0 };
    this.#links.set(id, links);
    links.count++;
    void closed.then(() => {
      if (--links.count === 0) this.#links.delete(id);
    });
    this.#check(id); // It may have ended while the link was made.
  }

  close(): void {
    this.#unsubscribe();
    this.#sweep.cancel();
  }

  #check(id: string): void {
    const links = this.#links.get(id);
    if (links === undefined) return;
    const session = this.get(id);
    if (session !== undefined) links.expires = Date.parse(session.spec.expires);
    // Auth removes what has expired: its news may be here before the clock is looked at.
    if (links.expires !== undefined && links.expires <= this.#clock.wallMs()) {
      this.#cut(id, "the app session has expired with its login");
    } else if (session === undefined) {
      this.#cut(id, "the app session was ended");
    }
  }

  #schedule(): Timer {
    return this.#clock.after(SESSION_SWEEP_MS, () => {
      for (const id of this.#links.keys()) this.#check(id);
      this.#sweep = this.#schedule();
    });
  }
}
