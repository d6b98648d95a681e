import { assert, type Cidr, equal, type IpAddress, isMalformed, parseIp } from "../base/mod.ts";
import type { VnetAddresses } from "./addresses.ts";

/** Which addresses are VNet's. Asked for every packet, so nothing here allocates. */
export class OwnAddresses {
  readonly tunV4: IpAddress;
  readonly tunV6: IpAddress;
  readonly dnsV4: IpAddress;
  readonly dnsV6: IpAddress;
  #ranges: readonly { base: number; mask: number }[] = [];

  constructor(addresses: VnetAddresses) {
    this.tunV4 = addressOf(addresses.tunV4);
    this.tunV6 = addressOf(addresses.tunV6);
    this.dnsV4 = addressOf(addresses.dnsV4);
    this.dnsV6 = addressOf(addresses.dnsV6);
  }

  /** The IPv4 ranges that lead to VNet from now on. */
  setRanges(ranges: readonly Cidr[]): void {
    this.#ranges = ranges.map(({ base, prefixLen }) => ({
      base: v4Number(base),
      mask: prefixLen === 0 ? 0 : (-1 << (32 - prefixLen)) >>> 0,
    }));
  }

  isTun(address: IpAddress): boolean {
    return equal(address, address.length === 4 ? this.tunV4 : this.tunV6);
  }

  isDns(address: IpAddress): boolean {
    return equal(address, address.length === 4 ? this.dnsV4 : this.dnsV6);
  }

  /** In a served range, or one of the four addresses above. */
  has(address: IpAddress): boolean {
    if (address.length !== 4) return this.#hasV6(address);
    const value = v4Number(address);
    for (const { base, mask } of this.#ranges) if ((value & mask) >>> 0 === base) return true;
    return this.isTun(address) || this.isDns(address);
  }

  #hasV6(address: IpAddress): boolean {
    for (let i = 0; i < 8; i++) if (address[i] !== this.tunV6[i]) return false;
    return true;
  }
}

/** An IPv4 address as a number below 2^32. */
export function v4Number(address: IpAddress): number {
  return ((address[0]! << 24) | (address[1]! << 16) | (address[2]! << 8) | address[3]!) >>> 0;
}

function addressOf(text: string): IpAddress {
  const address = parseIp(text);
  assert(!isMalformed(address), `planned address ${text}`);
  return address;
}
