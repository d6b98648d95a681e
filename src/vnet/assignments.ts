import { type Cidr, formatIp, type IpAddress, type Random, randomUint32 } from "../base/mod.ts";
import { MAX_ASSIGNMENTS } from "./limits.ts";
import { v4Number } from "./own-addresses.ts";

export interface Assignment {
  readonly v4: IpAddress;
  readonly v6: IpAddress;
}

export interface AssignmentsOptions {
  /** An address of VNet's own IPv6 /64. */
  v6Prefix: IpAddress;
  /** IPv4 addresses that no name may get, wherever they lie: the TUN's and the DNS server's. */
  reserved: readonly IpAddress[];
  random: Random;
}

/**
 * Which name has which addresses: one table for all ranges, so that ranges may
 * overlap. A name keeps its addresses for the life of VNet, also when its app goes
 * and comes back; nothing it was told by DNS becomes someone else's.
 */
export class Assignments {
  readonly #prefix: IpAddress;
  readonly #reserved: ReadonlySet<number>;
  readonly #random: Random;
  readonly #hosts = new Map<number, string>();
  readonly #addresses = new Map<string, number>();

  constructor(options: AssignmentsOptions) {
    this.#prefix = options.v6Prefix.slice(0, 8);
    this.#reserved = new Set(options.reserved.map(v4Number));
    this.#random = options.random;
  }

  get size(): number {
    return this.#addresses.size;
  }

  /** The name's addresses, from now on if it had none; `undefined` when the range or the table is full. */
  assign(host: string, range: Cidr): Assignment | undefined {
    const address = this.#addresses.get(host) ?? this.#pick(range);
    if (address === undefined) return undefined;
    this.#addresses.set(host, address);
    this.#hosts.set(address, host);
    return { v4: toAddress(address), v6: this.#toV6(address) };
  }

  /** Whose address is this, of either family? */
  hostAt(address: IpAddress): string | undefined {
    if (address.length === 4) return this.#hosts.get(v4Number(address));
    const ours = this.#prefix.every((octet, i) => octet === address[i]);
    const embedded = ours && [8, 9, 10, 11].every((i) => address[i] === 0);
    return embedded ? this.#hosts.get(v4Number(address.subarray(12))) : undefined;
  }

  /** For people: name → addresses as text. */
  list(): { host: string; v4: string; v6: string }[] {
    return [...this.#addresses].map(([host, address]) => ({
      host,
      v4: formatIp(toAddress(address)),
      v6: formatIp(this.#toV6(address)),
    }));
  }

  /**
   * A free address: from a random start, so that one run's addresses say nothing of
   * the next's, upwards and around. Never the network's own, the TUN's, the DNS
   * server's, nor broadcast. The steps are bounded by the table's size.
   */
  #pick(range: Cidr): number | undefined {
    if (this.#addresses.size >= MAX_ASSIGNMENTS) return undefined;
    const first = v4Number(range.base) + 3;
    const count = 2 ** (32 - range.prefixLen) - 4; // without those three and broadcast
    const start = randomUint32(this.#random) % count;
    const steps = Math.min(count, this.#addresses.size + this.#reserved.size + 1);
    for (let i = 0; i < steps; i++) {
      const address = first + ((start + i) % count);
      if (!this.#hosts.has(address) && !this.#reserved.has(address)) return address;
    }
    return undefined;
  }

  #toV6(address: number): IpAddress {
    const v6 = new Uint8Array(16);
    v6.set(this.#prefix);
    v6.set(toAddress(address), 12);
    return v6;
  }
}

function toAddress(value: number): IpAddress {
  const v4 = new Uint8Array(4);
  new DataView(v4.buffer).setUint32(0, value);
  return v4;
}
