import { type ByteStream, plainChunk } from "../../src/base/mod.ts";

/** A prime length, so that no loss or repetition of whole buffers goes unseen. */
const BLOCK = Buffer.from(Uint8Array.from({ length: 65_521 }, (_, i) => (i * 2_654_435_761) >>> 13));
const TWICE = Buffer.concat([BLOCK, BLOCK]);
const MAX_PIECE = 40_000;

export type Chance = (bound: number) => number;

export interface ClientEnd {
  /** "whole": every octet came back, and the end. "given-up": the client reset it. Else why it died. */
  readonly how: string;
  readonly octets: number;
  readonly wrong: boolean;
}

/** One connection to an echo with random habits: how much, how fast it reads, whether it stays to the end. */
export function randomClient(stream: ByteStream, chance: Chance): Promise<ClientEnd> {
  const seed = chance(BLOCK.length);
  const total = chance(10) === 0 ? chance(4 * 1024 * 1024) : chance(64 * 1024);
  const givesUpAt = chance(10) === 0 ? chance(total + 1) : undefined;
  const slow = chance(5) === 0;
  const { promise, resolve } = Promise.withResolvers<ClientEnd>();
  let sent = 0;
  let received = 0;
  let wrong = false;
  const over = (how: string) => resolve({ how, octets: received, wrong });
  const give = (octets: number) => {
    if (slow) setTimeout(() => stream.credit(octets), chance(40));
    else stream.credit(octets);
  };
  stream.open({
    data(chunk) {
      const { length } = chunk.bytes;
      wrong ||= !same(seed + received, chunk.bytes);
      received += length;
      chunk.release();
      if (givesUpAt !== undefined && received >= givesUpAt) {
        stream.reset("shutdown");
        over("given-up");
      } else {
        give(length);
      }
    },
    end: () => over(received === total ? "whole" : `short: ${received} of ${total}`),
    reset: (reason) => over(reason),
    writable(octets) {
      for (let left = octets; left > 0 && sent < total; ) {
        const length = Math.min(left, total - sent, 1 + chance(MAX_PIECE));
        const from = (seed + sent) % BLOCK.length;
        stream.write(plainChunk(TWICE.subarray(from, from + length)));
        sent += length;
        left -= length;
        if (sent === total) stream.end();
      }
    },
  });
  if (total === 0) stream.end();
  stream.credit(1 + chance(128 * 1024));
  return promise;
}

function same(at: number, bytes: Uint8Array): boolean {
  const from = at % BLOCK.length;
  return Buffer.compare(TWICE.subarray(from, from + bytes.length), bytes) === 0;
}
