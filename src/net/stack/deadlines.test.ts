import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { virtualClock } from "../../testkit/mod.ts";
import { Deadlines, type Due } from "./deadlines.ts";

class Item implements Due {
  dueMs = 0;
  heap: Due["heap"];
  readonly expiries: number[] = [];
  expired(now: number): void {
    this.expiries.push(now);
  }
}

test("each expires at its last deadline, once, behind one timer", () => {
  const step = fc.record({
    item: fc.nat(9),
    inMs: fc.option(fc.nat(100)),
    remove: fc.boolean(),
    advance: fc.nat(20),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: "max" }), (steps) => {
      const clock = virtualClock();
      const deadlines = new Deadlines(clock);
      const items = Array.from({ length: 10 }, () => new Item());
      const due = new Map<Item, number>();
      const check = () => {
        for (const item of items) {
          const at = due.get(item);
          if (at !== undefined && at <= clock.now()) due.delete(item);
          assert.deepEqual(item.expiries.splice(0), at !== undefined && at <= clock.now() ? [at] : []);
        }
      };
      for (const { item: index, inMs, remove, advance } of steps) {
        const item = items[index]!;
        if (remove) {
          deadlines.delete(item);
          due.delete(item);
        } else if (inMs === null) {
          deadlines.set(item, undefined);
          due.delete(item);
        } else {
          deadlines.set(item, clock.now() + inMs);
          due.set(item, clock.now() + inMs);
        }
        assert.ok(clock.pending <= 1);
        clock.advance(advance);
        check();
      }
      clock.advance(1000);
      check();
      assert.equal(clock.pending, 0);
    }),
    { numRuns: 200 },
  );
});
