import assert from "node:assert/strict";
import { test } from "node:test";
import * as seq from "./seq.ts";

test("numbers are compared across the wrap", () => {
  const last = 2 ** 32 - 1;
  for (const [a, b] of [
    [1, 2],
    [last, 0],
    [last - 5, 10],
    [2 ** 31 - 1, 2 ** 31],
    [0, 2 ** 31 - 1],
  ] as const) {
    assert.ok(seq.lt(a, b) && seq.le(a, b) && !seq.gt(a, b) && !seq.ge(a, b), `${a} before ${b}`);
    assert.ok(seq.gt(b, a) && !seq.lt(b, a));
    assert.equal(seq.max(a, b), b);
    assert.equal(seq.min(a, b), a);
    assert.equal(seq.add(a, seq.diff(b, a)), b);
  }
  assert.ok(seq.le(last, last) && seq.ge(last, last));
  assert.equal(seq.add(last, 3), 2);
  assert.equal(seq.add(2, -3), last);
});

test("a window may lie across the wrap and may be empty", () => {
  const start = 2 ** 32 - 2;
  assert.deepEqual(
    [start - 1, start, 0, 1, 2].map((n) => seq.inWindow(n, start, 4)),
    [false, true, true, true, false],
  );
  assert.ok(!seq.inWindow(5, 5, 0));
});
