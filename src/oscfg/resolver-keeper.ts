import { type Clock, messageOf, OperationError } from "../base/mod.ts";
import type { DnsManager } from "./dns-manager.ts";
import { byHand } from "./file-resolver.ts";
import { MAX_MENDS, MENDS_WINDOW_MS, RESOLVER_RESTART_MS, RESOLVER_RETRY_MS, RESOLVER_START_MS } from "./limits.ts";
import type { HostResolver, WantedDns } from "./resolver.ts";

export interface ResolverKeeperOptions {
  readonly device: string;
  readonly clock: Clock;
  /** Called before every change; throws when there must be none any more. */
  readonly checkOpen: () => void;
}

const CONTESTED = "another program keeps changing this host's name servers: VNet's names may not be found";

/** Has the host's resolver send to VNet what is wanted, by the best of the ways that work here. One call at a time. */
export class ResolverKeeper {
  readonly #options: ResolverKeeperOptions;
  /** Those that may still work, best first. */
  #resolvers: readonly HostResolver[];
  #wanted: WantedDns | undefined;
  /** The one in use has been heard of in this run. */
  #answered = false;
  /** One has done what it was told: from now on its failures pass. */
  #settled = false;
  /** Why the last better one is not used. */
  #failure: string | undefined;
  #contested = false;
  #upstreams: readonly string[] = [];
  /** When what others had changed was mended, of the last `MENDS_WINDOW_MS`. */
  #mends: number[] = [];

  /** `resolvers`: at least one; the last one's errors are the caller's, any other gives way to the next. */
  constructor(resolvers: readonly HostResolver[], options: ResolverKeeperOptions) {
    this.#resolvers = resolvers;
    this.#options = options;
  }

  /** `undefined`: nothing any more. @throws {OperationError} where no way works */
  async set(wanted: WantedDns | undefined): Promise<void> {
    const before = this.#wanted;
    this.#wanted = wanted;
    if (wanted === undefined) {
      if (before !== undefined) await this.#resolver.revert(this.#options.device);
      return;
    }
    try {
      await this.#byTheBest(async (resolver) => {
        if (!(await resolver.isApplied(wanted).catch(() => false))) await resolver.apply(wanted);
      });
    } catch (error) {
      // It restarts just now: `mend` tells it as soon as it is back.
      if (!this.#settled || !isRetryable(error)) throw error;
    }
    this.#settled = true;
  }

  /** Puts back what other programs have taken away, a few times a minute. @throws {OperationError} while it is not there */
  async mend(): Promise<void> {
    if (this.#wanted === undefined || (await this.#resolver.isApplied(this.#wanted))) return;
    const now = this.#options.clock.now();
    this.#mends = this.#mends.filter((at) => now - at < MENDS_WINDOW_MS);
    this.#contested = this.#mends.length >= MAX_MENDS;
    if (this.#contested) return;
    this.#mends.push(now);
    this.#options.checkOpen();
    await this.#resolver.apply(this.#wanted);
  }

  /** The host's own servers; those that it named last while it restarts. @throws {OperationError} if it never answered */
  async upstreams(): Promise<readonly string[]> {
    try {
      this.#upstreams = await this.#byTheBest((resolver) => resolver.upstreams());
    } catch (error) {
      if (!this.#settled || !isRetryable(error)) throw error;
    }
    return this.#upstreams;
  }

  /** Which way it is, and what the person should know or do. */
  describe(): { manager: DnsManager; note?: string } {
    const { manager } = this.#resolver;
    const advice = manager === "none" && this.#wanted !== undefined ? byHand(this.#wanted) : undefined;
    const notes = this.#contested ? [CONTESTED] : [this.#failure, advice].filter((note) => note !== undefined);
    return notes.length === 0 ? { manager } : { manager, note: notes.join("; ") };
  }

  get #resolver(): HostResolver {
    return this.#resolvers[0]!;
  }

  /** By the first that does not fail; why a better one did is told. */
  async #byTheBest<T>(work: (resolver: HostResolver) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        const result = await this.#patiently(() => work(this.#resolver));
        this.#answered = true;
        return result;
      } catch (error) {
        this.#options.checkOpen();
        if (this.#settled || this.#resolvers.length === 1) throw error;
        this.#failure = `${this.#resolver.manager} cannot be used: ${messageOf(error)}`;
        this.#resolvers = this.#resolvers.slice(1);
        this.#answered = false;
      }
    }
  }

  /** Whoever has answered before and does not now is restarting, most likely; who has not yet may be starting. */
  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    const { clock, checkOpen } = this.#options;
    const until = clock.now() + (this.#answered ? RESOLVER_RESTART_MS : RESOLVER_START_MS);
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!isRetryable(error) || this.#settled || clock.now() >= until) throw error;
        await new Promise<void>((resolve) => clock.after(RESOLVER_RETRY_MS, resolve));
        checkOpen();
      }
    }
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof OperationError && error.retryable;
}
