import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromHex } from "../../base/mod.ts";
import { addWords, checksumOf, fold, isIntact } from "./checksum.ts";
import { SummedMemory } from "./summed-memory.ts";

/** RFC 1071 §4.1 as written, one word after the other. */
function reference(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += (bytes[i]! << 8) + (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

test("the example of RFC 1071 §3", () => {
  assert.equal(fold(addWords(0, fromHex("0001 f203 f4f5 f6f7"), 0, 8)), 0xddf2);
});

test("the header of a real packet is intact, and its field is what we compute", () => {
  const header = fromHex("4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7");
  assert.ok(isIntact(addWords(0, header, 0, 20)));
  header.fill(0, 10, 12);
  assert.equal(checksumOf(addWords(0, header, 0, 20)), 0xb861);
});

test("any length at any alignment, with any start, sums as the reference does", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(3), fc.nat(0xffff), (bytes, shift, start) => {
      const buf = new Uint8Array(bytes.length + shift);
      buf.set(bytes, shift);
      const expected = reference(Uint8Array.of(start >> 8, start & 0xff, ...bytes));
      // 0 and 0xffff are one number in ones' complement.
      assert.equal(fold(addWords(start, buf, shift, buf.length)) % 0xffff, expected % 0xffff);
    }),
    { numRuns: 500 },
  );
});

test("the longest packet of the largest words does not overflow", () => {
  const bytes = new Uint8Array(65_535).fill(0xff);
  const expected = reference(bytes) % 0xffff;
  assert.equal(fold(addWords(0xffff, bytes, 0, bytes.length)) % 0xffff, expected);
  assert.equal(fold(addWords(0xffffffff, bytes, 0, bytes.length)) % 0xffff, expected);
});

test("summed memory: any length at any alignment, with any start, sums as the reference does", () => {
  const memory = new SummedMemory(70_000);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(70), fc.nat(0xffffffff), (bytes, at, start) => {
      memory.bytes.fill(0xa5);
      memory.bytes.set(bytes, at);
      const expected = (start + reference(bytes)) % 0xffff;
      assert.equal(fold(memory.addWords(start, at, at + bytes.length)) % 0xffff, expected);
    }),
    { numRuns: 500 },
  );
  memory.bytes.fill(0xff);
  assert.equal(fold(memory.addWords(0xffffffff, 3, 3 + 65_535)) % 0xffff, 0xff00, "the largest words do not overflow");
});
