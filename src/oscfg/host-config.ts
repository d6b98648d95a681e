import { type Clock, isMalformed } from "../base/mod.ts";
import type { DnsManager } from "./dns-manager.ts";
import { StateRefusedError } from "./errors.ts";
import { hostFacts } from "./facts.ts";
import { type NetworkOptions, networkItems } from "./network.ts";
import { NetworkKeeper } from "./network-keeper.ts";
import type { Os } from "./os.ts";
import { type HostFacts, refusal, type TakenRange } from "./policy.ts";
import type { HostResolver } from "./resolver.ts";
import { ResolverKeeper } from "./resolver-keeper.ts";
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

/**
 * Keeps the host as the last wanted state says. It only ever changes things
 * while running; that everything goes at the end is `undoScript`'s, so that it
 * goes after a crash too.
 */
export class HostConfig {
  readonly #os: Os;
  readonly #options: HostConfigOptions;
  readonly #resolver: ResolverKeeper;
  readonly #network: NetworkKeeper;
  #taken: readonly TakenRange[] | undefined;
  #busy: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** `resolvers`: at least one; the last one's errors are the caller's, any other gives way to the next. */
  constructor(os: Os, resolvers: readonly HostResolver[], options: HostConfigOptions) {
    this.#os = os;
    this.#options = options;
    const { device, clock } = options;
    const keeping = { device, clock, checkOpen: () => this.#checkOpen() };
    this.#resolver = new ResolverKeeper(resolvers, keeping);
    this.#network = new NetworkKeeper(os, keeping);
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

  /** Puts back what other programs have taken away or changed since. @throws {OperationError} */
  mend(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#closed) return;
      await this.#network.mend(); // first: without routes nobody reaches the name servers
      await this.#resolver.mend();
    });
  }

  /** @throws {OperationError} when the host's resolver has never answered */
  report(): Promise<HostReport> {
    return this.#inTurn(async () => {
      const upstreams = await this.#resolver.upstreams();
      this.#taken ??= (await this.#facts(upstreams)).taken;
      return { dns: this.#resolver.describe(), upstreams, taken: this.#taken, ipv6: this.#os.hasIpv6() };
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

  async #apply(value: unknown): Promise<void> {
    const state = parseWantedState(value);
    if (isMalformed(state)) throw new StateRefusedError(`not a wanted state (${state.malformed})`);
    const ipv6 = this.#os.hasIpv6();
    await this.#check(state);
    const { device } = this.#options;
    await this.#network.set(networkItems(state, { ...this.#options, ipv6 }));
    this.#checkOpen();
    const servers = state.dns.filter((address) => ipv6 || !address.includes(":"));
    await this.#resolver.set(
      servers.length > 0 ? { device, servers, zones: state.zones, ranges: state.ranges } : undefined,
    );
  }

  async #check(state: WantedState): Promise<void> {
    const facts = await this.#facts(await this.#resolver.upstreams());
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

  /** Before every change: what is made after the undoing would stay for ever. */
  #checkOpen(): void {
    if (this.#closed) throw new StateRefusedError("VNet is ending");
  }
}
