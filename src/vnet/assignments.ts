import {
  type Cidr,
  type Clock,
  cidrContains,
  formatIp,
  type IpAddress,
  isMalformed,
  parseIp,
  type Random,
  randomUint32,
} from "../base/mod.ts";
import { ASSIGNMENT_FORGOTTEN_MS, ASSIGNMENT_QUARANTINE_MS, MAX_ASSIGNMENTS } from "./limits.ts";
import { v4Number } from "./own-addresses.ts";

/** Not to be changed: the table's own. */
export interface Assignment {
  readonly v4: IpAddress;
  readonly v6: IpAddress;
}

/** An assignment as it is kept from one run to the next. */
export interface SavedName {
  readonly host: string;
  readonly v4: string;
  /** Since when no app has the name: milliseconds since 1970. */
  readonly released?: number;
}

export interface AssignmentsOptions {
  /** An address of VNet's own IPv6 /64. */
  v6Prefix: IpAddress;
  /** IPv4 addresses that no name may get, wherever they lie: the TUN's and the DNS server's. */
  reserved: readonly IpAddress[];
  random: Random;
  clock: Clock;
  /** Of earlier runs. */
  saved?: readonly SavedName[];
  /** Called after each change of what `save` returns. */
  changed?: () => void;
}

interface Entry {
  readonly host: string;
  readonly address: number;
  /** The same in both families. */
  readonly addresses: Assignment;
  /** Given, or given again, in this run: it stays whatever range the cluster has now. */
  confirmed: boolean;
  released?: number;
}

/**
 * Which name has which addresses: one table for all ranges, so that ranges may
 * overlap. A name keeps its addresses, also when its app goes and comes back, and
 * from run to run. Those of a name without an app become another's only when the
 * range has no other left and the quarantine is over.
 */
export class Assignments {
  readonly #options: AssignmentsOptions;
  readonly #prefix: IpAddress;
  readonly #reserved: ReadonlySet<number>;
  readonly #byHost = new Map<string, Entry>();
  readonly #byAddress = new Map<number, Entry>();

  constructor(options: AssignmentsOptions) {
    this.#options = options;
    this.#prefix = options.v6Prefix.slice(0, 8);
    this.#reserved = new Set(options.reserved.map(v4Number));
    for (const saved of options.saved ?? []) this.#restore(saved);
  }

  get size(): number {
    return this.#byHost.size;
  }

  /** The name's addresses, from now on if it had none; `undefined` when the range or the table is full. */
  assign(host: string, range: Cidr): Assignment | undefined {
    const known = this.#byHost.get(host);
    if (known && (known.confirmed || cidrContains(range, toAddress(known.address)))) return this.#confirm(known);
    if (known) this.#remove(known);
    const address = this.#pick(range) ?? this.#reclaim(range);
    if (address === undefined) return undefined;
    const entry: Entry = { host, address, addresses: this.#inBothFamilies(address), confirmed: true };
    this.#add(entry);
    this.#options.changed?.();
    return entry.addresses;
  }

  /** Names that have an app no more are released, those that have one again are not. */
  retain(isServed: (host: string) => boolean): void {
    const now = this.#options.clock.wallMs();
    let changes = 0;
    for (const entry of this.#byHost.values()) {
      if (isServed(entry.host) === (entry.released === undefined)) continue;
      if (entry.released === undefined) entry.released = now;
      else delete entry.released;
      changes++;
    }
    if (changes > 0) this.#options.changed?.();
  }

  /** Whose address is this, of either family? */
  hostAt(address: IpAddress): string | undefined {
    if (address.length === 4) return this.#byAddress.get(v4Number(address))?.host;
    const ours = this.#prefix.every((octet, i) => octet === address[i]);
    const embedded = ours && [8, 9, 10, 11].every((i) => address[i] === 0);
    return embedded ? this.#byAddress.get(v4Number(address.subarray(12)))?.host : undefined;
  }

  /** For people: names that have an app → addresses as text. */
  list(): { host: string; v4: string; v6: string }[] {
    const used = [...this.#byHost.values()].filter((entry) => entry.released === undefined);
    return used.map(({ host, addresses: { v4, v6 } }) => ({ host, v4: formatIp(v4), v6: formatIp(v6) }));
  }

  /** For the next run. */
  save(): SavedName[] {
    return [...this.#byHost.values()].map(({ host, address, released }) => ({
      host,
      v4: formatIp(toAddress(address)),
      ...(released !== undefined && { released }),
    }));
  }

  #restore({ host, v4, released }: SavedName): void {
    const parsed = parseIp(v4);
    if (isMalformed(parsed) || parsed.length !== 4 || this.#byHost.size >= MAX_ASSIGNMENTS) return;
    const address = v4Number(parsed);
    const taken = this.#byHost.has(host) || this.#byAddress.has(address) || this.#reserved.has(address);
    const forgotten = released !== undefined && this.#options.clock.wallMs() - released >= ASSIGNMENT_FORGOTTEN_MS;
    if (taken || forgotten) return;
    const addresses = this.#inBothFamilies(address);
    this.#add({ host, address, addresses, confirmed: false, ...(released !== undefined && { released }) });
  }

  #confirm(entry: Entry): Assignment {
    entry.confirmed = true;
    if (entry.released !== undefined) {
      delete entry.released;
      this.#options.changed?.();
    }
    return entry.addresses;
  }

  /**
   * A free address: from a random start, so that one user's addresses say nothing of
   * another's, upwards and around. Never the network's own, the TUN's, the DNS
   * server's, nor broadcast. The steps are bounded by the table's size.
   */
  #pick(range: Cidr): number | undefined {
    if (this.#byHost.size >= MAX_ASSIGNMENTS) return undefined;
    const first = v4Number(range.base) + 3;
    const count = 2 ** (32 - range.prefixLen) - 4; // without those three and broadcast
    const start = randomUint32(this.#options.random) % count;
    const steps = Math.min(count, this.#byHost.size + this.#reserved.size + 1);
    for (let i = 0; i < steps; i++) {
      const address = first + ((start + i) % count);
      if (!this.#byAddress.has(address) && !this.#reserved.has(address)) return address;
    }
    return undefined;
  }

  /** The address in `range` that has been released for longest, if its quarantine is over. */
  #reclaim(range: Cidr): number | undefined {
    const until = this.#options.clock.wallMs() - ASSIGNMENT_QUARANTINE_MS;
    let oldest: Entry | undefined;
    for (const entry of this.#byHost.values()) {
      if (entry.released === undefined || entry.released > (oldest?.released ?? until)) continue;
      if (cidrContains(range, toAddress(entry.address))) oldest = entry;
    }
    if (oldest) this.#remove(oldest);
    return oldest?.address;
  }

  #add(entry: Entry): void {
    this.#byHost.set(entry.host, entry);
    this.#byAddress.set(entry.address, entry);
  }

  #remove(entry: Entry): void {
    this.#byHost.delete(entry.host);
    this.#byAddress.delete(entry.address);
  }

  #inBothFamilies(address: number): Assignment {
    const v4 = toAddress(address);
    const v6 = new Uint8Array(16);
    v6.set(this.#prefix);
    v6.set(v4, 12);
    return { v4, v6 };
  }
}

function toAddress(value: number): IpAddress {
  const v4 = new Uint8Array(4);
  new DataView(v4.buffer).setUint32(0, value);
  return v4;
}
