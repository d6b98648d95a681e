import {
  type ByteStream,
  Counters,
  type Logger,
  messageOf,
  raced,
  sleep,
  systemClock,
  systemRandom,
} from "../base/mod.ts";
import type { DialTcp } from "../dial/mod.ts";
import {
  LinkBudget,
  LinkBudgetError,
  LinkClosedError,
  LinkDrainingError,
  LinkLimitError,
  LinkRefusedError,
} from "../link/mod.ts";
import { type AppLink, dialAppLink, RouteCounters, SessionUnknownError } from "../tunnel/mod.ts";
import type { AppRef, AppSessions } from "./app-sessions.ts";
import {
  MAX_APP_LINKS,
  MAX_LINK_ATTEMPTS,
  OPEN_TIMEOUT_MS,
  RESUME_FIRST_MS,
  RESUME_WAIT_MS,
  ROTATION_SPREAD_MS,
} from "./limits.ts";
import { pollNetwork, type WatchNetwork } from "./network-watch.ts";
import { type HeldSession, SessionKeeper, tunnelSession } from "./session-keeper.ts";

export interface AppConnectionsOptions {
  readonly sessions: AppSessions;
  /** The proxy that the user logged in to, asked before the others. */
  readonly proxyAddress: string;
  /** The cluster's proxies as they are now, where that is known; besides those that Auth named with the session. */
  proxies?(): readonly string[];
  readonly log: Logger;
  /** The way to proxies, where it is not straight. */
  readonly dialTcp?: DialTcp | undefined;
  /** Of this process, where it has connections to several clusters; by default one of their own. */
  readonly budget?: LinkBudget | undefined;
  /** For tests. */
  readonly watchNetwork?: WatchNetwork;
}

/**
 * Connections to the apps of one cluster: per app one session and one link,
 * made when first needed. A link that loses its connection goes on over
 * another one; one that ended is made again. Sessions end with `close`.
 */
export class AppConnections implements AsyncDisposable {
  readonly #options: AppConnectionsOptions;
  readonly #apps = new Map<string, AppConnection>();
  readonly #budget: LinkBudget;
  readonly #unwatch: () => void;

  constructor(options: AppConnectionsOptions) {
    this.#options = options;
    this.#budget = options.budget ?? new LinkBudget();
    this.#unwatch = (options.watchNetwork ?? pollNetwork)(() => {
      for (const app of this.#apps.values()) app.networkChanged();
    });
  }

  /** Resolves when the app's own server has accepted. */
  dial(app: AppRef, port: number, signal: AbortSignal): Promise<ByteStream> {
    const key = `${app.name}\0${app.publicAddr}`;
    let connection = this.#apps.get(key);
    if (connection === undefined) {
      connection = new AppConnection(app, this.#options, this.#budget);
      this.#apps.set(key, connection);
    }
    return connection.dial(port, signal);
  }

  /** An authority was rotated: certificates and trust of before will be of no use. Links go on over new connections. */
  renewSessions(): void {
    for (const app of this.#apps.values()) app.renewSession();
  }

  async close(): Promise<void> {
    this.#unwatch();
    const connections = [...this.#apps.values()];
    this.#apps.clear();
    await Promise.all(connections.map((connection) => connection.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

class AppConnection {
  readonly #app: string;
  readonly #options: AppConnectionsOptions;
  readonly #budget: LinkBudget;
  readonly #routes = new RouteCounters();
  readonly #instance = systemRandom(8);
  readonly #counters = new Counters();
  readonly #abort = new AbortController();
  readonly #session: SessionKeeper;
  /** All that live: draining ones, and ones that look for a connection, too. */
  readonly #links = new Set<AppLink>();
  /** For new streams. */
  #link: AppLink | undefined;
  /** Several connections at once share the making of a link. */
  #linking: Promise<AppLink> | undefined;

  constructor(app: AppRef, options: AppConnectionsOptions, budget: LinkBudget) {
    this.#app = app.name;
    this.#budget = budget;
    this.#options = options;
    this.#session = new SessionKeeper(options.sessions, app, options.log, this.#abort.signal, {
      inUse: () => this.#links.size > 0,
      renewed: () => {
        for (const link of this.#links) link.replaceCarriers();
      },
    });
  }

  async dial(port: number, signal: AbortSignal): Promise<ByteStream> {
    for (let attempt = 1; ; attempt++) {
      const { link } = await raced(this.#usableLink(), signal);
      try {
        return await link.open(port, { signal });
      } catch (error) {
        if (attempt >= MAX_LINK_ATTEMPTS || !this.#worthAnotherLink(error)) throw error;
        this.#options.log.debug({ app: this.#app, error: messageOf(error) }, "the link is of no use; making another");
      }
    }
  }

  networkChanged(): void {
    for (const link of this.#links) link.networkChanged();
  }

  renewSession(): void {
    this.#session.renewSoon(Math.random() * ROTATION_SPREAD_MS);
  }

  async close(): Promise<void> {
    this.#abort.abort(new Error("closed"));
    this.#closeLinks();
    await this.#session.end();
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
    if (current === undefined || current.link.ended || current.link.draining) return this.#anotherLink();
    return current.link.attached ? Promise.resolve(current) : this.#resumedOrAnother(current);
  }

  /** The connection may come back in a moment, or its agent never: whichever way is there first. */
  async #resumedOrAnother(current: AppLink): Promise<AppLink> {
    const over = new AbortController();
    let failure: unknown;
    const resumed = current.link.whenAttached().then(() => current);
    const another = (async () => {
      await sleep(RESUME_FIRST_MS, over.signal);
      return this.#anotherLink();
    })().catch((error: unknown) => {
      failure = error;
      throw error;
    });
    const tooLate = async () => {
      await sleep(RESUME_WAIT_MS, over.signal);
      return undefined;
    };
    try {
      const found = await Promise.race([Promise.any([resumed, another]), tooLate()]);
      if (found !== undefined) return found;
    } catch {
      // Both have failed: the newer failure says why.
    } finally {
      over.abort(new Error("found"));
    }
    throw (
      failure ??
      new LinkClosedError(
        "carrier",
        "unreachable",
        "the connection to the app's agent was lost, and there is no other yet",
      )
    );
  }

  #anotherLink(): Promise<AppLink> {
    this.#linking ??= this.#newLink().finally(() => {
      this.#linking = undefined;
    });
    return this.#linking;
  }

  async #newLink(): Promise<AppLink> {
    if (this.#links.size >= MAX_APP_LINKS) throw new LinkLimitError("links that wait for a connection", MAX_APP_LINKS);
    if (this.#budget.full) throw new LinkBudgetError(`${this.#budget.maxLinks} links`);
    for (let attempt = 1; ; attempt++) {
      const session = await this.#session.usable();
      try {
        return this.#keep(await this.#dialLink(session));
      } catch (error) {
        if (attempt >= MAX_LINK_ATTEMPTS) throw error;
        // The session may have been ended on the other side (logout, restart of the cluster).
        if (sessionMayBeOver(error)) this.#forgetSession();
        else if (certificateMayBeRefused(error)) this.#session.renewSoon();
        else throw error;
      }
    }
  }

  #keep(made: AppLink): AppLink {
    this.#link = made;
    this.#links.add(made);
    void made.link.closed.then(() => this.#links.delete(made));
    return made;
  }

  #dialLink(session: HeldSession): Promise<AppLink> {
    const { log, sessions, dialTcp } = this.#options;
    return dialAppLink({
      session: tunnelSession(session),
      proxies: this.#proxies(session),
      routes: this.#routes,
      instance: this.#instance,
      budget: this.#budget,
      refreshAgents: async (signal) => {
        const now = await sessions.agents(session.answer, signal);
        return { hostIds: now.agents.map((agent) => agent.host_id), hostCas: now.host_cas };
      },
      ...(dialTcp && { dialTcp }),
      resume: true,
      present: async (_, refused) => {
        const present = await this.#session.present(session, refused);
        return { session: tunnelSession(present), proxies: this.#proxies(present) };
      },
      signal: this.#abort.signal,
      openTimeoutMs: OPEN_TIMEOUT_MS,
      clock: systemClock,
      counters: this.#counters,
      log,
    });
  }

  #proxies({ answer }: HeldSession): readonly string[] {
    const { proxyAddress, proxies } = this.#options;
    return [...new Set([proxyAddress, ...(proxies?.() ?? []), ...answer.proxies])];
  }

  #forgetSession(): void {
    const id = this.#session.forget();
    if (id !== undefined) this.#routes.forget(id);
    this.#closeLinks();
  }

  #closeLinks(): void {
    this.#link = undefined;
    for (const { link } of this.#links) link.close("done");
  }
}

function sessionMayBeOver(error: unknown): boolean {
  if (error instanceof LinkClosedError) return error.closeCode === "session-ended";
  return error instanceof SessionUnknownError;
}

/** The agent has cut the connection without a word: it says none to whom it cannot verify. */
function certificateMayBeRefused(error: unknown): boolean {
  return error instanceof LinkClosedError && error.closeCode === "carrier";
}
