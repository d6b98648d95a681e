import { parseIp } from "../base/mod.ts";
import { MAX_UNVERIFIED, MAX_UNVERIFIED_PER_ADDRESS } from "./limits.ts";

/** Counts the connections of each IPv4 address or IPv6 /64 that have proved nothing yet. */
export class AddressLimiter {
  readonly #counts = new Map<string, number>();
  #total = 0;

  /** A place, to be given back by calling the result once; `undefined` where there is none. */
  enter(remoteAddress: string): (() => void) | undefined {
    const key = networkOf(remoteAddress);
    const count = this.#counts.get(key) ?? 0;
    if (count >= MAX_UNVERIFIED_PER_ADDRESS || this.#total >= MAX_UNVERIFIED) return undefined;
    this.#counts.set(key, count + 1);
    this.#total++;
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.#leave(key);
    };
  }

  #leave(key: string): void {
    const left = this.#counts.get(key)! - 1;
    if (left === 0) this.#counts.delete(key);
    else this.#counts.set(key, left);
    this.#total--;
  }
}

/** The address itself, or the /64 of an IPv6 one: a host may choose the rest freely. */
function networkOf(remoteAddress: string): string {
  const mapped = remoteAddress.startsWith("::ffff:") ? remoteAddress.slice(7) : remoteAddress;
  const address = parseIp(mapped);
  if ("malformed" in address || address.length === 4) return mapped;
  return Buffer.from(address).toString("hex", 0, 8);
}
