import type { AppSession, Kind } from "../api/mod.ts";
import type { Clock, Counters, Timer } from "../base/mod.ts";
import { awaitEntry, type CachedView } from "../rpc/mod.ts";
import type { AgentHost, AppRouteSession, RouteSession } from "../tunnel/mod.ts";
import { MAX_PAST_SESSIONS, MAX_WAITING_HELLOS, SESSION_SWEEP_MS, UNKNOWN_SESSION_WAIT_MS } from "./limits.ts";

/** The kinds of resource that a proxy follows. */
export const PROXY_KINDS = [
  "app_session",
  "app_server",
  "cluster_auth_preference",
  "cert_authority",
  "lock",
  "trusted_cluster",
  "remote_cluster",
] as const satisfies Kind[];
export type ProxyView = CachedView<(typeof PROXY_KINDS)[number]>;
type ReadView = Pick<ProxyView, "get" | "list" | "onChange">;

/** Ends the relays of a session; ends a host's control connections, and by them all that it serves. */
export interface Cut {
  session(sessionId: string): void;
  host(hostId: string): void;
}

/** What the proxy's view says about routes: sessions, the agents for each, and sessions' ends. */
export class Routes {
  readonly #view: ReadView;
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #unsubscribe: () => void;
  readonly #cut: Cut;
  /** Sessions that ended lately, oldest first: nobody waits for them. */
  readonly #past = new Set<string>();
  #waiting = 0;
  #sweep: Timer;

  constructor(view: ReadView, tools: { clock: Clock; counters: Counters }, cut: Cut) {
    this.#view = view;
    this.#clock = tools.clock;
    this.#counters = tools.counters;
    this.#cut = cut;
    this.#unsubscribe = view.onChange((change) => {
      if (change.kind === "app_session" && change.type === "delete") this.#ended(change.name);
      if (change.kind === "lock" && change.type === "put") this.#cutLocked();
    });
    this.#sweep = this.#schedule();
  }

  /** A live session, waited for at most `UNKNOWN_SESSION_WAIT_MS`. */
  async session(sessionId: string, signal: AbortSignal): Promise<RouteSession | undefined> {
    const known = this.#view.get("app_session", sessionId) ?? (await this.#await(sessionId, signal));
    if (known === undefined || this.#expired(known)) return undefined;
    const { route_key, cluster, app, expires } = known.spec;
    if (route_key === undefined) return undefined;
    return { sessionId, routeKey: Buffer.from(route_key, "base64"), cluster, app, expires: Date.parse(expires) };
  }

  /** The hosts that announce the session's app at the session's address, with their word on its health. */
  agents({ sessionId, app }: AppRouteSession): readonly AgentHost[] {
    const address = this.#view.get("app_session", sessionId)?.spec.public_addr;
    const locked = this.#lockedHosts();
    return this.#view
      .list("app_server")
      .filter(
        ({ spec }) =>
          !locked.has(spec.host_id) && spec.app.metadata.name === app && spec.app.spec.public_addr === address,
      )
      .map(({ spec, status }) => ({
        hostId: spec.host_id,
        healthy: status?.target_health?.status !== "unhealthy",
      }));
  }

  /** Whether a root may send clients of this session here: it issued it, for an app of this cluster. */
  async isOfRoot(sessionId: string, root: string, signal: AbortSignal): Promise<boolean> {
    const known = this.#view.get("app_session", sessionId) ?? (await this.#await(sessionId, signal));
    return known !== undefined && known.spec.root === root && !this.#expired(known);
  }

  close(): void {
    this.#unsubscribe();
    this.#sweep.cancel();
  }

  #ended(sessionId: string): void {
    this.#past.add(sessionId);
    if (this.#past.size > MAX_PAST_SESSIONS) this.#past.delete(this.#past.values().next().value ?? "");
    this.#cut.session(sessionId);
  }

  async #await(sessionId: string, signal: AbortSignal): Promise<AppSession | undefined> {
    if (this.#past.has(sessionId)) return undefined;
    if (this.#waiting >= MAX_WAITING_HELLOS) {
      this.#counters.count("link.too-many-waiting");
      return undefined;
    }
    this.#waiting++;
    try {
      return await awaitEntry(this.#view, "app_session", sessionId, {
        clock: this.#clock,
        timeoutMs: UNKNOWN_SESSION_WAIT_MS,
        signal,
      });
    } finally {
      this.#waiting--;
    }
  }

  /** A locked host may not obey: its connections end here, whatever it does. Locks on users are the agents' affair. */
  #cutLocked(): void {
    for (const hostId of this.#lockedHosts()) this.#cut.host(hostId);
  }

  #lockedHosts(): Set<string> {
    const now = this.#clock.wallMs();
    const live = this.#view.list("lock").filter(({ spec }) => !spec.expires || Date.parse(spec.expires) > now);
    return new Set(live.map(({ spec }) => spec.target.server_id).filter((hostId) => hostId !== undefined));
  }

  #expired({ spec }: AppSession): boolean {
    return Date.parse(spec.expires) <= this.#clock.wallMs();
  }

  /** Auth removes what has expired, but it may be away just then. */
  #schedule(): Timer {
    return this.#clock.after(SESSION_SWEEP_MS, () => {
      for (const session of this.#view.list("app_session")) {
        if (this.#expired(session)) this.#cut.session(session.metadata.name);
      }
      this.#cutLocked(); // It may have come back.
      this.#sweep = this.#schedule();
    });
  }
}
