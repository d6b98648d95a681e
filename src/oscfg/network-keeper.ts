import type { Clock } from "../base/mod.ts";
import { OsCommandError } from "./errors.ts";
import { parseList } from "./facts.ts";
import { NETWORK_LOOK_MS } from "./limits.ts";
import { type NetworkItem, networkActions } from "./network.ts";
import type { Os } from "./os.ts";
import { TABLE } from "./table.ts";

export interface NetworkKeeperOptions {
  readonly device: string;
  readonly clock: Clock;
  /** Throws when nothing may be changed any more. */
  checkOpen(): void;
}

/** Keeps addresses, routes and rules as they were last wanted. What is not VNet's it neither changes nor removes. */
export class NetworkKeeper {
  readonly #os: Os;
  readonly #options: NetworkKeeperOptions;
  #made: NetworkItem[] = [];
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(os: Os, options: NetworkKeeperOptions) {
    this.#os = os;
    this.#options = options;
  }

  /** @throws {OsCommandError} half-way; the next call continues from there */
  async set(wanted: readonly NetworkItem[]): Promise<void> {
    await this.#restore(); // what another program has removed could not be removed once more
    const { remove, add } = networkActions(this.#made, wanted);
    for (const item of remove) {
      this.#options.checkOpen();
      if (item.remove) await this.#os.ip(item.remove);
      this.#made = this.#made.filter((other) => other !== item);
    }
    for (const item of add) {
      this.#options.checkOpen();
      await this.#os.ip(item.add);
      this.#made.push(item);
    }
  }

  /** Makes again what other programs have removed. Looks no more often than is due. @throws {OsCommandError} */
  async mend(): Promise<void> {
    const now = this.#options.clock.now();
    if (now - this.#lookedAt < NETWORK_LOOK_MS) return;
    this.#lookedAt = now;
    await this.#restore();
  }

  async #restore(): Promise<void> {
    if (await this.#isWhole()) return;
    // Which one is gone need not be known: to add what is there changes nothing.
    for (const { add } of this.#usable()) {
      this.#options.checkOpen();
      await this.#os.ip(add).catch((error: unknown) => {
        if (!isThere(error)) throw error;
      });
    }
  }

  /** Where IPv6 has been switched off meanwhile, what was made of it is gone for as long. */
  #usable(): readonly NetworkItem[] {
    return this.#os.hasIpv6() ? this.#made : this.#made.filter(({ add }) => add[0] !== "-6");
  }

  async #isWhole(): Promise<boolean> {
    const usable = this.#usable();
    const made = (object: string, family?: string) =>
      usable.filter(({ add }) => add[1] === object && (family ?? add[0]) === add[0]).length;
    if ((await this.#addresses()) < made("address")) return false;
    for (const family of ["-4", "-6"]) {
      const [rules, routes] = [made("rule", family), made("route", family)];
      if (rules > 0 && (await this.#count([family, "rule", "show"])) < rules) return false;
      if (routes > 0 && (await this.#count([family, "route", "show", "table", TABLE.id])) < routes) return false;
    }
    return true;
  }

  async #addresses(): Promise<number> {
    if (this.#made.length === 0) return 0;
    const shown = await this.#os.ip(["-json", "address", "show", "dev", this.#options.device]);
    return parseList<{ addr_info?: unknown[] }>(shown).flatMap((link) => link.addr_info ?? []).length;
  }

  /** How many of the entries are VNet's. A table without any is an error to `ip`. */
  async #count(show: readonly string[]): Promise<number> {
    const shown = await this.#os.ip(["-json", ...show]).catch(() => "");
    return parseList<{ protocol?: string | number }>(shown).filter(({ protocol }) => `${protocol}` === TABLE.protocol)
      .length;
  }
}

/** `ip address` has words of its own. */
function isThere(error: unknown): boolean {
  return error instanceof OsCommandError && /File exists|already assigned/.test(error.message);
}
