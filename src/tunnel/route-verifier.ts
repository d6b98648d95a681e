import { type Clock, isMalformed, type Malformed, malformed } from "../base/mod.ts";
import { CARRIER_BURST, CARRIERS_PER_SECOND, MAX_LIVE_CARRIERS, MAX_TRACKED_SESSIONS } from "./limits.ts";
import { ReplayWindow } from "./replay-window.ts";
import { isRouteTokenGenuine, type RouteToken } from "./route-token.ts";
import type { RouteSession } from "./types.ts";

interface Tracked {
  readonly window: ReplayWindow;
  expires: number;
  /** Tokens of the bucket for new carriers. */
  tokens: number;
  filledAt: number;
  live: number;
}

export type Verdict =
  | { kind: "route"; session: RouteSession; instance: string }
  /** 112: all that happens before the MAC is right looks the same, and a replay. */
  | { kind: "unrecognized"; reason: string }
  /** 80: try another proxy. */
  | { kind: "unavailable"; reason: string };

/**
 * A proxy's check of route tokens: a flood filter before an agent is woken.
 * Counters and rates are kept only for sessions whose MAC was right once.
 */
export class RouteVerifier {
  readonly #clock: Clock;
  readonly #sessions = new Map<string, Tracked>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `session`: what the proxy knows under the token's id. Counts the carrier as live on success. */
  verify(token: RouteToken | Malformed, session: RouteSession | undefined): Verdict {
    if (isMalformed(token)) return { kind: "unrecognized", reason: token.malformed };
    if (session === undefined) return { kind: "unrecognized", reason: "route.unknown-session" };
    if (session.expires <= this.#clock.wallMs()) return { kind: "unrecognized", reason: "route.expired" };
    if (!isRouteTokenGenuine(token, session.cluster, session.routeKey)) {
      return { kind: "unrecognized", reason: "route.mac" };
    }
    const tracked = this.#track(session);
    if (isMalformed(tracked)) return { kind: "unavailable", reason: tracked.malformed };
    if (!tracked.window.take(token.counter)) return { kind: "unrecognized", reason: "route.replay" };
    if (!this.#mayStart(tracked)) return { kind: "unavailable", reason: "route.rate" };
    if (tracked.live >= MAX_LIVE_CARRIERS) return { kind: "unavailable", reason: "route.live-carriers" };
    tracked.live++;
    return { kind: "route", session, instance: token.instance };
  }

  /** A verified carrier is gone. */
  ended(sessionId: string): void {
    const tracked = this.#sessions.get(sessionId);
    if (tracked) tracked.live--;
  }

  #track(session: RouteSession): Tracked | Malformed {
    const known = this.#sessions.get(session.sessionId);
    if (known) {
      known.expires = Math.max(known.expires, session.expires);
      return known;
    }
    if (this.#sessions.size >= MAX_TRACKED_SESSIONS) this.#dropExpired();
    if (this.#sessions.size >= MAX_TRACKED_SESSIONS) return malformed("route.sessions");
    const tracked: Tracked = {
      window: new ReplayWindow(),
      expires: session.expires,
      tokens: CARRIER_BURST,
      filledAt: this.#clock.now(),
      live: 0,
    };
    this.#sessions.set(session.sessionId, tracked);
    return tracked;
  }

  /** Only sessions that are over may be forgotten: a window begun anew would accept a replay. */
  #dropExpired(): void {
    const now = this.#clock.wallMs();
    for (const [id, tracked] of this.#sessions) {
      if (tracked.expires <= now && tracked.live === 0) this.#sessions.delete(id);
    }
  }

  #mayStart(tracked: Tracked): boolean {
    const now = this.#clock.now();
    const gained = ((now - tracked.filledAt) / 1000) * CARRIERS_PER_SECOND;
    tracked.tokens = Math.min(CARRIER_BURST, tracked.tokens + gained);
    tracked.filledAt = now;
    if (tracked.tokens < 1) return false;
    tracked.tokens--;
    return true;
  }
}
