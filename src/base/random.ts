import { randomFillSync } from "node:crypto";

/** Chance as an input: `length` random octets. */
export type Random = (length: number) => Uint8Array;

export const systemRandom: Random = (length) => randomFillSync(new Uint8Array(length));

/** A seeded generator for tests (xorshift128+ is enough there; never for secrets). */
export function seededRandom(seed: number): Random {
  let a = (seed ^ 0x9e3779b9) >>> 0 || 1;
  let b = (Math.imul(seed, 0x85ebca6b) ^ 0xc2b2ae35) >>> 0 || 2;
  const next = () => {
    let t = a;
    const s = b;
    a = s;
    t ^= t << 23;
    t ^= t >>> 17;
    t ^= s ^ (s >>> 26);
    b = t >>> 0;
    return (a + b) & 0xff;
  };
  return (length) => Uint8Array.from({ length }, next);
}

export function randomUint32(random: Random): number {
  const bytes = random(4);
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
}
