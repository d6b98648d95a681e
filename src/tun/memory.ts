import { concat, type Random, randomUint32, seededRandom } from "../base/mod.ts";
import type { Offload, TunDevice, TunHandler } from "./device.ts";
import { MAX_BURST, MEMORY_QUEUE_LEN, TUN_MTU } from "./limits.ts";

export interface MemoryTunOptions {
  mtu?: number;
  /** Of both ends, or of the first and the second. Frames pass as they are in any case. */
  offload?: Offload | readonly [Offload, Offload];
  /** Chance (0 to 1) that a frame is lost, for each direction alike. */
  loss?: number;
  /** Chance that a frame changes places with the next one of its direction. */
  reorder?: number;
  /** Of the two chances above. */
  seed?: number;
}

const FULL_OFFLOAD: Offload = { checksum: true, tso: true, bigTcp: false };

/**
 * Two devices, each end of one link. Frames are copied and cross in a later
 * turn, so neither end is ever called from within its own call.
 */
export function memoryTunPair(options: MemoryTunOptions = {}): [TunDevice, TunDevice] {
  const offload = options.offload ?? FULL_OFFLOAD;
  const [first, second] = "tso" in offload ? [offload, offload] : offload;
  const random = seededRandom(options.seed ?? 1);
  const a = new MemoryTun("memory0", options, first, random);
  const b = new MemoryTun("memory1", options, second, random);
  a.join(b);
  b.join(a);
  return [a, b];
}

class MemoryTun implements TunDevice {
  readonly name: string;
  readonly mtu: number;
  readonly offload: Offload;
  readonly #loss: number;
  readonly #reorder: number;
  readonly #random: Random;
  #peer: MemoryTun | undefined;
  #handler: TunHandler | undefined;
  #queue: Uint8Array[] = [];
  #turn: NodeJS.Immediate | undefined;
  #closed = false;

  constructor(name: string, options: MemoryTunOptions, offload: Offload, random: Random) {
    this.name = name;
    this.mtu = options.mtu ?? TUN_MTU;
    this.offload = offload;
    this.#loss = options.loss ?? 0;
    this.#reorder = options.reorder ?? 0;
    this.#random = random;
  }

  join(peer: MemoryTun): void {
    this.#peer = peer;
  }

  start(handler: TunHandler): void {
    this.#handler = handler;
    this.#schedule();
  }

  write(frame: Uint8Array): boolean {
    if (this.#closed || this.#peer === undefined) return false;
    return this.#peer.#arrive(frame);
  }

  writeGathered(pieces: readonly Uint8Array[]): boolean {
    return this.write(concat(...pieces));
  }

  close(): void {
    this.#closed = true;
    this.#queue = [];
    if (this.#turn) clearImmediate(this.#turn);
  }

  #arrive(frame: Uint8Array): boolean {
    if (this.#closed || this.#queue.length >= MEMORY_QUEUE_LEN) return false;
    if (this.#happens(this.#loss)) return true; // As on a wire, the sender does not learn of it.
    this.#queue.push(frame.slice());
    if (this.#queue.length > 1 && this.#happens(this.#reorder)) {
      const last = this.#queue.length - 1;
      [this.#queue[last - 1], this.#queue[last]] = [this.#queue[last]!, this.#queue[last - 1]!];
    }
    this.#schedule();
    return true;
  }

  #happens(chance: number): boolean {
    return chance > 0 && randomUint32(this.#random) < chance * 2 ** 32;
  }

  #schedule(): void {
    if (this.#turn || this.#closed || !this.#handler || this.#queue.length === 0) return;
    this.#turn = setImmediate(() => this.#deliver(this.#handler!));
  }

  #deliver(handler: TunHandler): void {
    this.#turn = undefined;
    const burst = this.#queue.splice(0, MAX_BURST);
    for (const frame of burst) {
      if (this.#closed) return;
      // Whoever reads what he has released shall notice.
      handler.receive({ bytes: frame, release: () => void frame.fill(0xdd) });
    }
    if (this.#closed) return;
    handler.drained();
    this.#schedule();
  }
}
