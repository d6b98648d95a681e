import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { splice } from "../base/mod.ts";
import { streamPair } from "./stream-pair.ts";
import { StreamUser } from "./stream-user.ts";

test("octets cross in order, each half ends by itself", async () => {
  const [a, b] = streamPair();
  const left = new StreamUser(a, { window: 1000 });
  const right = new StreamUser(b, { window: 7 });
  const bytes = randomBytes(300_000);
  left.send(bytes);
  left.end();
  assert.equal(await right.peerEnded, "end");
  assert.ok(bytes.equals(right.received));
  right.send(Uint8Array.of(1, 2, 3));
  right.end();
  assert.deepEqual(await left.until(3), Uint8Array.of(1, 2, 3));
  assert.deepEqual(await Promise.all([left.closed, right.closed]), ["end", "end"]);
});

test("a reset reaches the other end, with its reason, through a splice", async () => {
  const [a, near] = streamPair();
  const [far, b] = streamPair();
  const totals = splice(near, far, () => {});
  const left = new StreamUser(a);
  const right = new StreamUser(b, { onData: (bytes) => right.send(bytes) });
  left.send(Uint8Array.of(1, 2));
  await left.until(2);
  left.reset("timeout");
  assert.equal(await right.closed, "timeout");
  assert.deepEqual(totals, { aToB: 2, bToA: 2, reset: { from: "a", reason: "timeout" } });
});
