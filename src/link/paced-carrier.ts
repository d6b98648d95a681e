import { type Clock, systemRandom, UNPOOLED } from "../base/mod.ts";
import type { Carrier, CarrierHandler } from "./carrier.ts";

export interface PacedPath {
  readonly octetsPerMs: number;
  readonly latencyMs: number;
  /** Octets that wait for the path above which `writable` is false, as in a socket. */
  readonly highWaterMark: number;
}

/** Two ends of a carrier with a rate and a latency, on a test's clock. */
export function pacedCarrierPair(clock: Clock, path: PacedPath): [PacedCarrier, PacedCarrier] {
  const a = new PacedCarrier(clock, path);
  const b = new PacedCarrier(clock, path);
  a.other = b;
  b.other = a;
  b.binding = a.binding;
  return [a, b];
}

export class PacedCarrier implements Carrier {
  binding = systemRandom(32);
  other: PacedCarrier | undefined;
  readonly #clock: Clock;
  readonly #path: PacedPath;
  #handler: CarrierHandler | undefined;
  #queued = 0;
  #freeAt = 0;
  #full = false;

  constructor(clock: Clock, path: PacedPath) {
    this.#clock = clock;
    this.#path = path;
  }

  get writable(): boolean {
    return !this.#full;
  }

  start(handler: CarrierHandler): void {
    this.#handler = handler;
  }

  write(bytes: Uint8Array): void {
    const { octetsPerMs, latencyMs, highWaterMark } = this.#path;
    const now = this.#clock.now();
    this.#freeAt = Math.max(now, this.#freeAt) + bytes.length / octetsPerMs;
    this.#queued += bytes.length;
    this.#full = this.#queued >= highWaterMark;
    const copy = bytes.slice();
    this.#clock.after(this.#freeAt - now, () => this.#left(copy.length));
    this.#clock.after(this.#freeAt + latencyMs - now, () => this.other!.#handler?.data(copy, UNPOOLED));
  }

  close(): void {}
  destroy(): void {}

  #left(octets: number): void {
    this.#queued -= octets;
    if (!this.#full || this.#queued > this.#path.highWaterMark / 2) return;
    this.#full = false;
    this.#handler?.writable();
  }
}
