/**
 * What the endpoints say to each other, over whatever is measured: a request of
 * `REQUEST_LEN` octets, then the octets, then `DIGEST_LEN` octets of SHA-256 from
 * the sender of the octets (zeros where nobody hashes) which the receiver compares.
 * Where `compare` is asked for, the receiver compares the octets themselves.
 */
import { createHash, type Hash } from "node:crypto";

export const REQUEST_LEN = 10;
export const DIGEST_LEN = 32;

/** "up": from the client. "echo": whatever comes goes back. */
export type Mode = "up" | "down" | "echo";
const MODES: readonly Mode[] = ["up", "down", "echo"];

export interface Request {
  mode: Mode;
  octets: number;
  hash: boolean;
  compare?: boolean;
}

export function encodeRequest({ mode, octets, hash, compare = false }: Request): Buffer {
  const request = Buffer.alloc(REQUEST_LEN);
  request[0] = MODES.indexOf(mode);
  request[1] = (hash ? 1 : 0) | (compare ? 2 : 0);
  request.writeDoubleBE(octets, 2);
  return request;
}

export function decodeRequest(request: Uint8Array): Request {
  const buffer = Buffer.from(request);
  const flags = request[1]!;
  const octets = buffer.readDoubleBE(2);
  return { mode: MODES[request[0]!]!, hash: (flags & 1) !== 0, compare: (flags & 2) !== 0, octets };
}

/** The octets of every transfer: random ones, over and over. The length is odd, so that no piece is like another. */
const BLOCK = randomBlock(1_048_573);
/** Twice, so that every piece up to a block's length is one comparison. */
const TWO_BLOCKS = Buffer.concat([BLOCK, BLOCK]);

/** The next piece of at most `limit` octets; not a copy. */
export class Sender {
  readonly #hash: Hash | undefined;
  #at = 0;
  left: number;

  constructor(octets: number, hash: boolean) {
    this.left = octets;
    this.#hash = hash ? createHash("sha256") : undefined;
  }

  next(limit: number): Buffer {
    const from = this.#at % BLOCK.length;
    const piece = BLOCK.subarray(from, from + Math.min(limit, this.left));
    this.#at += piece.length;
    this.left -= piece.length;
    this.#hash?.update(piece);
    return piece;
  }

  digest(): Buffer {
    return this.#hash?.digest() ?? Buffer.alloc(DIGEST_LEN);
  }
}

/** Counts what comes, hashes or compares it where asked, and compares with the digest behind it. */
export class Receiver {
  readonly #hash: Hash | undefined;
  readonly #compare: boolean;
  readonly #digest = Buffer.alloc(DIGEST_LEN);
  readonly #octets: number;
  #left: number;
  #digestLen = 0;

  constructor(octets: number, hash: boolean, compare = false) {
    this.#octets = octets;
    this.#left = octets;
    this.#hash = hash ? createHash("sha256") : undefined;
    this.#compare = compare;
  }

  /** True when all has come. */
  take(bytes: Uint8Array): boolean {
    const text = bytes.subarray(0, this.#left);
    if (this.#compare) this.#check(text);
    this.#left -= text.length;
    this.#hash?.update(text);
    this.#digest.set(bytes.subarray(text.length), this.#digestLen);
    this.#digestLen += bytes.length - text.length;
    if (this.#digestLen < DIGEST_LEN) return false;
    const right = this.#hash?.digest() ?? Buffer.alloc(DIGEST_LEN);
    if (!right.equals(this.#digest)) throw differ();
    return true;
  }

  #check(text: Uint8Array): void {
    const from = (this.#octets - this.#left) % BLOCK.length;
    if (Buffer.compare(TWO_BLOCKS.subarray(from, from + text.length), text) !== 0) throw differ();
  }
}

function differ(): Error {
  return new Error("the octets that came are not those that were sent");
}

function randomBlock(length: number): Buffer {
  let state = 0x9e3779b9;
  return Buffer.from(
    Uint8Array.from({ length }, () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return state;
    }),
  );
}
