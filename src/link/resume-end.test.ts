/** What becomes of a link's last words, and of a link that has none left to say. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ByteStream, type Chunk, plainChunk } from "../base/mod.ts";
import { Talker, turns } from "./link-harness.ts";
import { ResumablePair, within } from "./resume-harness.ts";

test("a link without streams ends with its carrier at the client, and after its window at the agent", async () => {
  const pair = new ResumablePair();
  const stream = await pair.client.open(1);
  const talker = new Talker(stream, { total: 10 });
  assert.deepEqual(await within(talker.done, pair), {});
  await pair.clock.advance(100, 20);
  pair.cut();
  assert.equal((await pair.client.closed).closeCode, "carrier");
  assert.equal(pair.server!.ended, false);
  assert.equal(pair.server!.heldOctets, 0);
  await pair.clock.advance(60_000, 1_000);
  assert.equal((await pair.server!.closed).closeCode, "carrier");
});

test("a client whose last acknowledgement was lost finds its link again, and its reader all that came", async () => {
  const accepted: ByteStream[] = [];
  const pair = new ResumablePair({ onOpen: (request) => accepted.push(request.accept()) });
  const near = await pair.client.open(1);
  const far = new Talker(accepted[0]!, { total: 5_000 });
  await turns();
  let received = 0;
  const told = Promise.withResolvers<void>();
  const data = (chunk: Chunk) => {
    received += chunk.bytes.length;
    chunk.release();
  };
  near.open({ data, end: () => told.resolve(), reset: (why) => told.reject(new Error(why)), writable: () => {} });
  await turns();
  pair.carriers[0]!.far.silent = true; // The agent has taken the client's end; its word of that never arrives.
  near.end();
  await pair.clock.advance(100, 20);
  assert.deepEqual(await within(far.done, pair), {});
  assert.equal(pair.server!.streams, 0);
  pair.cut();
  await turns();
  assert.equal(pair.client.ended, false);
  await pair.client.attach(0, pair.connect());
  near.credit(5_000); // A slow reader reads on.
  await within(told.promise, pair);
  assert.equal(received, 5_000);
});

test("an end whose acknowledgement was lost is no reason to lose the end", async () => {
  const accepted: ByteStream[] = [];
  const pair = new ResumablePair({ onOpen: (request) => accepted.push(request.accept()) });
  const near = await pair.client.open(1);
  await turns();
  const far = new Talker(accepted[0]!, { total: 0 });
  await turns();
  const told = Promise.withResolvers<void>();
  near.open({ data: () => {}, end: () => told.resolve(), reset: () => assert.fail(), writable: () => {} });
  await told.promise;
  pair.carriers[0]!.near.silent = true; // The client's end never arrives.
  near.write(plainChunk(new Uint8Array(7)));
  near.end();
  await turns();
  assert.equal(pair.client.streams, 0);
  pair.cut();
  await turns();
  assert.equal(pair.client.ended, false, "its last words are not said yet");
  await pair.client.attach(0, pair.connect());
  assert.deepEqual(await within(far.done, pair), {});
  assert.equal(far.received, 7);
});
