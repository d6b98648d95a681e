import { addWords, fold } from "./checksum.ts";

/** What is used of the engine's; the types of Node and ECMAScript do not have it. */
declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number }) => { buffer: ArrayBuffer };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: { sum(at: number, to: number): number } };
};

const PAGE_LEN = 65_536;
/** Octets of one turn of the loop. */
const STEP = 32;

// Opcodes of WebAssembly (core specification 3.0, §5.4), as far as they are used.
const LOOP = 0x03;
const END = 0x0b;
const BRANCH_IF = 0x0d;
const GET = 0x20;
const SET = 0x21;
const TEE = 0x22;
const I32_CONST = 0x41;
const I32_LESS_UNSIGNED = 0x49;
const I32_ADD = 0x6a;
const LOAD = [0xfd, 0x00, 0]; // v128.load, any alignment; the offset follows
const LANE = [0xfd, 0x1b]; // i32x4.extract_lane
const ADD_PAIRS = [0xfd, 0x7f]; // i32x4.extadd_pairwise_i16x8_u
const ADD = [0xfd, 0xae, 0x01]; // i32x4.add
const [VOID, I32, V128, FUNCTION] = [0x40, 0x7f, 0x7b, 0x60];

/** Parameters of the function, and its two sums of four lanes. */
const [AT, TO, EVEN, ODD] = [0, 1, 2, 3];

/** `sum = sum + the pairs of 16-bit words in the 16 octets at AT + offset`. */
function addSixteen(sum: number, offset: number): number[] {
  return [GET, sum, GET, AT, ...LOAD, offset, ...ADD_PAIRS, ...ADD, SET, sum];
}

/** `sum(at, to)`: of the words of [at, to), which is a multiple of STEP and not empty. No lane overflows in 64 KiB. */
const BODY = [
  ...[1, 2, V128], // two locals
  ...[LOOP, VOID, ...addSixteen(EVEN, 0), ...addSixteen(ODD, 16)],
  ...[GET, AT, I32_CONST, STEP, I32_ADD, TEE, AT, GET, TO, I32_LESS_UNSIGNED, BRANCH_IF, 0, END],
  ...[GET, EVEN, GET, ODD, ...ADD, SET, EVEN],
  ...[GET, EVEN, ...LANE, 0],
  ...[1, 2, 3].flatMap((lane) => [GET, EVEN, ...LANE, lane, I32_ADD]),
  END,
];

const MODULE = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // "\0asm", version 1
  ...section(1, [1, FUNCTION, 2, I32, I32, 1, I32]),
  ...section(2, [1, ...name("m"), ...name("memory"), 2, 0, 1]), // imported, at least 1 page
  ...section(3, [1, 0]), // one function, of the first type
  ...section(7, [1, ...name("sum"), 0, 0]),
  ...section(10, [1, BODY.length, ...BODY]),
);

function section(id: number, content: number[]): number[] {
  return [id, content.length, ...content];
}

function name(text: string): number[] {
  return [text.length, ...Buffer.from(text, "latin1")];
}

/**
 * Memory whose checksum costs a sixth of what `addWords` takes: summed by
 * WebAssembly, eight words at a time. Each reserves gigabytes of address space,
 * so make one where it pays, not one for each packet.
 */
export class SummedMemory {
  readonly bytes: Uint8Array;
  readonly #sum: (at: number, to: number) => number;

  constructor(length: number) {
    const pages = Math.ceil(length / PAGE_LEN);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(MODULE), { m: { memory } });
    this.#sum = exports.sum;
    this.bytes = new Uint8Array(memory.buffer, 0, length);
  }

  /** As `addWords` of `bytes`: at most 65,535 octets. */
  addWords(sum: number, from: number, to: number): number {
    const rest = to - ((to - from) % STEP);
    if (rest === from) return addWords(sum, this.bytes, from, to);
    // WebAssembly is little-endian: one swap at the end (RFC 1071 §2 B).
    const swapped = fold(this.#sum(from, rest) >>> 0);
    const inOrder = (swapped >> 8) | ((swapped & 0xff) << 8);
    return addWords(fold(sum) + inOrder, this.bytes, rest, to);
  }
}
