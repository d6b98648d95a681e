import { parseIp } from "../base/mod.ts";
import { MAX_UNVERIFIED, MAX_UNVERIFIED_PER_ADDRESS } from "./limits.ts";

interface Place {
  readonly evict: () => void;
}

/**
 * Keeps the connections of each IPv4 address or IPv6 /64 that have proved
 * nothing yet within bounds. When all places together are taken, the oldest of
 * the network that has the most gives way: whoever is honest needs a place for a
 * moment, whoever holds many slow handshakes open loses them to others.
 */
export class AddressLimiter {
  /** Oldest first, networks and places both. */
  readonly #places = new Map<string, Set<Place>>();
  #total = 0;

  /** A place, to be given back by calling the result once; `undefined` where the network has its share. `evict` ends the connection. */
  enter(remoteAddress: string, evict: () => void): (() => void) | undefined {
    const key = networkOf(remoteAddress);
    if ((this.#places.get(key)?.size ?? 0) >= MAX_UNVERIFIED_PER_ADDRESS) return undefined;
    if (this.#total >= MAX_UNVERIFIED) this.#makeRoom();
    const place = { evict };
    const places = this.#places.get(key) ?? new Set();
    this.#places.set(key, places.add(place));
    this.#total++;
    return () => this.#leave(key, place);
  }

  #makeRoom(): void {
    let most: [string, Set<Place>] | undefined;
    for (const entry of this.#places) if (entry[1].size > (most?.[1].size ?? 0)) most = entry;
    const [oldest] = most?.[1] ?? [];
    if (most === undefined || oldest === undefined) return;
    this.#leave(most[0], oldest);
    oldest.evict();
  }

  #leave(key: string, place: Place): void {
    const places = this.#places.get(key);
    if (!places?.delete(place)) return;
    if (places.size === 0) this.#places.delete(key);
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
