/** Hostile inputs from a seed: the same seed makes the same ones. */
export class Mutator {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0 || 1;
  }

  /** 0 to `limit` − 1 (xorshift32, Marsaglia 2003). */
  below(limit: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % limit;
  }

  oneOf<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** One in eight random, one in eight as it should be, the others with one to four mutations. */
  input(seeds: readonly Uint8Array[]): Uint8Array {
    const kind = this.below(8);
    if (kind === 0) return this.octets(this.below(200));
    const seed = Uint8Array.from(this.oneOf(seeds));
    return kind === 1 ? seed : this.mutated(seed);
  }

  octets(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  mutated(seed: Uint8Array): Uint8Array {
    let bytes = seed;
    for (let i = this.below(4); i >= 0; i--) bytes = this.#mutate(bytes, this.below(bytes.length + 1));
    return bytes;
  }

  #mutate(bytes: Uint8Array, at: number): Uint8Array {
    const rest = bytes.subarray(at);
    switch (this.below(7)) {
      case 0:
        return replaced(bytes, at, this.below(256));
      case 1:
        return replaced(bytes, at, (bytes[at] ?? 0) ^ (1 << this.below(8)));
      case 2:
        return bytes.slice(0, at);
      case 3: // more
        return joined(bytes.subarray(0, at), this.octets(this.below(12)), rest);
      case 4: // less
        return joined(bytes.subarray(0, at), rest.subarray(this.below(12)));
      case 5: // a length that is one off
        return replaced(bytes, at, ((bytes[at] ?? 0) + (this.below(2) === 0 ? 1 : 255)) & 0xff);
      default: // twice
        return joined(bytes, rest.subarray(0, 64));
    }
  }
}

function replaced(bytes: Uint8Array, at: number, octet: number): Uint8Array {
  const out = bytes.slice();
  if (at < out.length) out[at] = octet;
  return out;
}

function joined(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}
