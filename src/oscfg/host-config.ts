import { type Clock, isMalformed, messageOf, OperationError } from "../base/mod.ts";
import type { DnsManager } from "./dns-manager.ts";
import { StateRefusedError } from "./errors.ts";
import { hostFacts } from "./facts.ts";
import { byHand } from "./file-resolver.ts";
import { MAX_MENDS, MENDS_WINDOW_MS, RESOLVER_RESTART_MS, RESOLVER_RETRY_MS } from "./limits.ts";
import { type NetworkItem, type NetworkOptions, networkActions, networkItems } from "./network.ts";
import type { Os } from "./os.ts";
import { type HostFacts, refusal, type TakenRange } from "./policy.ts";
import type { HostResolver, WantedDns } from "./resolver.ts";
import { parseWantedState, type WantedState } from "./state.ts";

export interface HostConfigOptions extends Omit<NetworkOptions, "ipv6"> {
  readonly clock: Clock;
  /** A range that root itself has allowed, whatever the policy says of it. */
  readonly allowedRange?: string;
}

/** What the user process needs to know of the host. */
export interface HostReport {
  readonly dns: {
    readonly manager: DnsManager;
    /** What the person should know or do. */
    readonly note?: string;
  };
  /** The host's own name servers, in order. */
  readonly upstreams: readonly string[];
  /** Ranges that VNet should not use here. */
  readonly taken: readonly TakenRange[];
  readonly ipv6: boolean;
}

const CONTESTED = "another program keeps changing this host's name servers: VNet's names may not be found";

/**
 * Keeps the host as the last wanted state says. It only ever changes things
 * while running; that everything goes at the end is `undoScript`'s, so that it
 * goes after a crash too.
 */
export class HostConfig {
  readonly #os: Os;
  readonly #options: HostConfigOptions;
  /** Those that may still work, best first. */
  #resolvers: readonly HostResolver[];
  #applied: NetworkItem[] = [];
  #dns: WantedDns | undefined;
  /** The resolver in use has been heard of in this run. */
  #answered = false;
  /** One resolver has done what it was told: from now on a failure of it passes. */
  #settled = false;
  /** Why the last better one is not used. */
  #failure: string | undefined;
  #contested = false;
  #lastUpstreams: readonly string[] = [];
  #taken: readonly TakenRange[] | undefined;
  /** When what others had changed was mended, of the last `MENDS_WINDOW_MS`. */
  #mends: number[] = [];
  #busy: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** `resolvers`: at least one; the last one's errors are the caller's, any other gives way to the next. */
  constructor(os: Os, resolvers: readonly HostResolver[], options: HostConfigOptions) {
    this.#os = os;
    this.#resolvers = resolvers;
    this.#options = options;
  }

  /**
   * Carries out `value`, which is not trusted. One call at a time.
   *
   * @throws {StateRefusedError} with nothing changed, or at `close`
   * @throws {OperationError} half-way; the next state continues from there
   */
  apply(value: unknown): Promise<void> {
    return this.#inTurn(() => this.#apply(value));
  }

  /** Mends what other programs have changed since, of the resolver's settings. */
  mend(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#closed || this.#dns === undefined) return;
      if (await this.#resolver.isApplied(this.#dns)) return;
      const now = this.#options.clock.now();
      this.#mends = this.#mends.filter((at) => now - at < MENDS_WINDOW_MS);
      if (this.#mends.length >= MAX_MENDS) {
        this.#contested = true;
        return;
      }
      this.#contested = false;
      this.#mends.push(now);
      this.#checkOpen();
      await this.#resolver.apply(this.#dns);
    });
  }

  /** @throws {OperationError} when the host's resolver has never answered */
  report(): Promise<HostReport> {
    return this.#inTurn(async () => {
      const upstreams = await this.#upstreams();
      this.#taken ??= (await this.#facts(upstreams)).taken;
      const { manager } = this.#resolver;
      const note = this.#note();
      const dns = note === "" ? { manager } : { manager, note };
      return { dns, upstreams, taken: this.#taken, ipv6: this.#os.hasIpv6() };
    });
  }

  /** Once this returns nothing is changed any more; what is half done stays so, for `undoScript`. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#busy;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#busy.then(work);
    this.#busy = done.catch(() => {});
    return done;
  }

  get #resolver(): HostResolver {
    return this.#resolvers[0]!;
  }

  async #apply(value: unknown): Promise<void> {
    const state = parseWantedState(value);
    if (isMalformed(state)) throw new StateRefusedError(`not a wanted state (${state.malformed})`);
    const ipv6 = this.#os.hasIpv6();
    await this.#check(state);
    const { device } = this.#options;
    await this.#applyNetwork(networkItems(state, { ...this.#options, ipv6 }));
    this.#checkOpen();
    const servers = state.dns.filter((address) => ipv6 || !address.includes(":"));
    await this.#applyDns(
      servers.length > 0 ? { device, servers, zones: state.zones, ranges: state.ranges } : undefined,
    );
  }

  async #applyDns(wanted: WantedDns | undefined): Promise<void> {
    const before = this.#dns;
    this.#dns = wanted;
    if (wanted === undefined) {
      if (before !== undefined) await this.#resolver.revert(this.#options.device);
      return;
    }
    try {
      await this.#withResolver(async (resolver) => {
        if (!(await resolver.isApplied(wanted).catch(() => false))) await resolver.apply(wanted);
      });
    } catch (error) {
      // A resolver that restarts just now: `mend` tells it as soon as it is back.
      if (!this.#settled || !isRetryable(error)) throw error;
    }
    this.#settled = true;
  }

  /** By the best resolver that does not fail; why the better ones did is told. */
  async #withResolver<T>(work: (resolver: HostResolver) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        const result = await this.#patiently(() => work(this.#resolver));
        this.#answered = true;
        return result;
      } catch (error) {
        if (this.#settled || this.#resolvers.length === 1) throw error;
        this.#failure = `${this.#resolver.manager} cannot be used: ${messageOf(error)}`;
        this.#resolvers = this.#resolvers.slice(1);
        this.#answered = false;
        this.#checkOpen();
      }
    }
  }

  /** Whoever has answered before and does not now is restarting, most likely: no reason to do without it. */
  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    const { clock } = this.#options;
    const until = clock.now() + RESOLVER_RESTART_MS;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        const passing = isRetryable(error) && this.#answered;
        if (!passing || this.#settled || this.#closed || clock.now() >= until) throw error;
        await new Promise<void>((resolve) => clock.after(RESOLVER_RETRY_MS, resolve));
      }
    }
  }

  #note(): string {
    if (this.#contested) return CONTESTED;
    const advice = this.#resolver.manager === "none" && this.#dns !== undefined ? byHand(this.#dns) : undefined;
    return [this.#failure, advice].filter((part) => part !== undefined).join("; ");
  }

  /** While the resolver restarts, those that it named last. */
  async #upstreams(): Promise<readonly string[]> {
    try {
      this.#lastUpstreams = await this.#withResolver((resolver) => resolver.upstreams());
    } catch (error) {
      if (!this.#settled || !isRetryable(error)) throw error;
    }
    return this.#lastUpstreams;
  }

  async #check(state: WantedState): Promise<void> {
    const facts = await this.#facts(await this.#upstreams());
    this.#taken = facts.taken;
    const reason = refusal(state, facts, this.#options.allowedRange);
    if (reason !== undefined) throw new StateRefusedError(reason);
  }

  async #facts(resolvers: readonly string[]): Promise<HostFacts> {
    const ipv6 = this.#os.hasIpv6();
    const show = (family: string) => this.#os.ip(["-json", family, "route", "show", "table", "all"]);
    const [addresses, routes4, routes6, rules] = await Promise.all([
      this.#os.ip(["-json", "address"]),
      show("-4"),
      ipv6 ? show("-6") : "",
      this.#os.ip(["-json", "-4", "rule"]),
    ]);
    return hostFacts(this.#options.device, { addresses, routes: [routes4, routes6], rules, resolvers, ipv6 });
  }

  async #applyNetwork(wanted: readonly NetworkItem[]): Promise<void> {
    const { remove, add } = networkActions(this.#applied, wanted);
    for (const item of remove) {
      this.#checkOpen();
      if (item.remove) await this.#os.ip(item.remove);
      this.#applied = this.#applied.filter((other) => other !== item);
    }
    for (const item of add) {
      this.#checkOpen();
      await this.#os.ip(item.add);
      this.#applied.push(item);
    }
  }

  /** Before every change: what is made after the undoing would stay for ever. */
  #checkOpen(): void {
    if (this.#closed) throw new StateRefusedError("VNet is ending");
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof OperationError && error.retryable;
}
