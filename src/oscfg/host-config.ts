import { isMalformed } from "../base/mod.ts";
import { StateRefusedError } from "./errors.ts";
import { hostFacts } from "./facts.ts";
import { type NetworkItem, type NetworkOptions, networkActions, networkItems } from "./network.ts";
import { refusal } from "./policy.ts";
import { applyResolvConf, formerServers, type ResolvConfPaths } from "./resolv-conf.ts";
import { parseWantedState, type WantedState } from "./state.ts";

/** The part of the operating system that is not a file. */
export interface Os {
  /** Runs `ip` and returns its output. @throws {OsCommandError} */
  ip(args: readonly string[]): Promise<string>;
  hasIpv6(): boolean;
  /** Runs `undo_resolv_conf` of `undoScript`. */
  restoreResolvConf(): Promise<void>;
}

/**
 * Keeps the host as the last wanted state says. It only ever changes things
 * while running; that everything goes at the end is `undoScript`'s, so that it
 * goes after a crash too.
 */
export class HostConfig {
  readonly #os: Os;
  readonly #paths: ResolvConfPaths;
  readonly #options: Omit<NetworkOptions, "ipv6">;
  #applied: NetworkItem[] = [];
  #busy: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(os: Os, paths: ResolvConfPaths, options: Omit<NetworkOptions, "ipv6">) {
    this.#os = os;
    this.#paths = paths;
    this.#options = options;
  }

  /**
   * Carries out `value`, which is not trusted. One call at a time.
   *
   * @throws {StateRefusedError} with nothing changed, or at `close`
   * @throws {OsCommandError | ResolvConfError} half-way; the next state continues from there
   */
  apply(value: unknown): Promise<void> {
    const applied = this.#apply(value);
    this.#busy = applied.catch(() => {});
    return applied;
  }

  /** Once this returns nothing is changed any more; what is half done stays so, for `undoScript`. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#busy;
  }

  async #apply(value: unknown): Promise<void> {
    const state = parseWantedState(value);
    if (isMalformed(state)) throw new StateRefusedError(`not a wanted state (${state.malformed})`);
    const ipv6 = this.#os.hasIpv6();
    await this.#check(state, ipv6);
    await this.#applyNetwork(networkItems(state, { ...this.#options, ipv6 }));
    const [server] = state.dns;
    this.#checkOpen();
    if (server !== undefined) applyResolvConf(this.#paths, server);
    else await this.#os.restoreResolvConf();
  }

  async #check(state: WantedState, ipv6: boolean): Promise<void> {
    const [addresses, routes4, routes6] = await Promise.all([
      this.#os.ip(["-json", "address"]),
      this.#os.ip(["-json", "-4", "route", "show", "table", "all"]),
      ipv6 ? this.#os.ip(["-json", "-6", "route", "show", "table", "all"]) : "",
    ]);
    const resolvers = formerServers(this.#paths);
    const device = this.#options.device;
    const facts4 = hostFacts(device, { addresses, routes: routes4, resolvers, ipv6 });
    const facts6 = hostFacts(device, { addresses: "", routes: routes6, resolvers: [], ipv6 });
    const reason = refusal(state, { ...facts4, gateways: [...facts4.gateways, ...facts6.gateways] });
    if (reason !== undefined) throw new StateRefusedError(reason);
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
