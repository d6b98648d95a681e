import assert from "node:assert/strict";
import { test } from "node:test";
import { type Clock, silentLogger } from "../base/mod.ts";
import type { Carrier } from "./carrier.ts";
import { AGENT_GONE_MS, CARRIER_WRITES, DEAD_AFTER_MS, SILENCE_CREDIT_MS } from "./limits.ts";
import { Talker, turns } from "./link-harness.ts";
import { Redialer } from "./redialer.ts";
import { ResumablePair } from "./resume-harness.ts";

const KIB = 1024;
class NoAgent extends Error {}

/** A pair whose client looks for new carriers by itself; `dial` is asked for each. */
async function redialled(o: { transports?: number } = {}) {
  const pair = new ResumablePair({ onOpen: (request) => void request.accept(), ...o });
  await pair.client.ready;
  const state = {
    dials: [] as number[],
    refused: [] as boolean[],
    dial: async (_: AbortSignal): Promise<Carrier> => pair.connect(),
  };
  const clock: Clock = pair.clock;
  const redialer = new Redialer({
    link: pair.client,
    clock,
    log: silentLogger,
    dial: (signal, refused) => {
      state.dials.push(clock.now());
      state.refused.push(refused);
      return state.dial(signal);
    },
    isAgentMissing: (error) => error instanceof NoAgent,
    chance: () => 1,
  });
  return { pair, redialer, state };
}

test("a lost carrier is replaced by itself", async () => {
  const { pair, state } = await redialled();
  const talker = new Talker(await pair.client.open(1), { total: 100 * KIB });
  await turns();
  pair.cut();
  await pair.clock.advance(200, 10);
  assert.equal(pair.client.attached, true);
  assert.equal(state.dials.length, 1);
  pair.client.close("done");
  await talker.done;
});

test("without a network it is tried with growing pauses, and at once when the network changes", async () => {
  const { pair, state, redialer } = await redialled();
  const talker = new Talker(await pair.client.open(1), { total: 1 });
  state.dial = async () => {
    throw new Error("network unreachable");
  };
  await turns();
  pair.cut();
  await pair.clock.advance(30_000, 100);
  const pauses = state.dials.slice(1).map((at, i) => at - state.dials[i]!);
  assert.deepEqual(pauses.slice(0, 6), [200, 400, 800, 1600, 2000, 2000]);
  assert.equal(pair.client.ended, false);
  state.dial = async () => pair.connect();
  redialer.networkChanged();
  await turns();
  assert.equal(pair.client.attached, true);
  pair.client.close("done");
  await talker.done;
});

test("an attempt under way is begun anew when the network changes", async () => {
  const { pair, state, redialer } = await redialled();
  const talker = new Talker(await pair.client.open(1), { total: 1 });
  state.dial = (signal) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  await turns();
  pair.cut();
  await pair.clock.advance(1_000, 100);
  assert.equal(state.dials.length, 1);
  state.dial = async () => pair.connect();
  redialer.networkChanged();
  await pair.clock.advance(300, 100);
  assert.equal(pair.client.attached, true);
  pair.client.close("done");
  await talker.done;
});

test("an agent that is missing for 10 s is gone, one that comes back before is not", async () => {
  const { pair, state } = await redialled();
  const talker = new Talker(await pair.client.open(1), { total: 1 });
  let failure: Error = new NoAgent();
  state.dial = async () => {
    throw failure;
  };
  await turns();
  pair.cut();
  await pair.clock.advance(AGENT_GONE_MS - 1_000, 100);
  failure = new Error("network unreachable"); // Now nothing is known.
  await pair.clock.advance(20_000, 100);
  assert.equal(pair.client.ended, false);
  failure = new NoAgent();
  await pair.clock.advance(AGENT_GONE_MS + 4_000, 100);
  assert.deepEqual(await talker.done, { reset: "unreachable" });
  assert.equal((await pair.client.closed).closeCode, "gone");
});

test("the end of the link ends the search", async () => {
  const { pair, state } = await redialled();
  const talker = new Talker(await pair.client.open(1), { total: 1 });
  state.dial = async () => {
    throw new Error("network unreachable");
  };
  await turns();
  pair.cut();
  await pair.clock.advance(1_000, 100);
  pair.client.close("done");
  await talker.done;
  const { length } = state.dials;
  await pair.clock.advance(10_000, 100);
  assert.equal(state.dials.length, length);
});

test("as many transports are made as both ends want", async () => {
  const { pair } = await redialled({ transports: 3 });
  await pair.clock.advance(2_000, 50);
  assert.deepEqual(
    [1, 2, 3].map((id) => pair.client.stateOf(id)),
    ["attached", "attached", "none"],
  );
  pair.client.close("done");
});

test("after a silence a missing agent is given up sooner, and at the moment that is due", async () => {
  const { pair, state } = await redialled();
  const talker = new Talker(await pair.client.open(1), { total: 1 });
  state.dial = async () => {
    throw new NoAgent();
  };
  await turns();
  for (const end of [pair.carriers[0]!.near, pair.carriers[0]!.far]) end.silent = true;
  await pair.clock.advance(DEAD_AFTER_MS + 100, 50);
  assert.equal(pair.client.attached, false);
  const lostAt = pair.clock.now();
  while (!pair.client.ended) await pair.clock.advance(50, 50);
  const afterMs = pair.clock.now() - lostAt;
  assert.ok(afterMs >= AGENT_GONE_MS - SILENCE_CREDIT_MS - 200, `${afterMs} ms`);
  assert.ok(afterMs <= AGENT_GONE_MS - SILENCE_CREDIT_MS + 200, `${afterMs} ms`);
  assert.deepEqual(await talker.done, { reset: "unreachable" });
});

test("better carriers take the place of those that live, one for each transport, and nothing is lost", async () => {
  const { pair, redialer, state } = await redialled({ transports: 2 });
  await pair.clock.advance(2_000, 50);
  const talkers = await Promise.all(
    Array.from({ length: 4 }, async (_, i) => new Talker(await pair.client.open(i), { total: 300 * KIB })),
  );
  await turns();
  const before = state.dials.length;
  redialer.replaceAll();
  await pair.clock.advance(500, 10);
  assert.equal(state.dials.length, before + 2);
  for (const { near } of pair.carriers.slice(0, -2)) near.destroy(); // They are of no use any more.
  await pair.clock.advance(2_000, 50);
  assert.equal(state.dials.length, before + 2);
  for (let i = 0; i < 3; i++) redialer.replaceAll(); // What is under way may be of yesterday: one more each.
  await pair.clock.advance(2_000, 10);
  assert.equal(state.dials.length, before + 6);
  assert.deepEqual([pair.client.stateOf(0), pair.client.stateOf(1)], ["attached", "attached"]);
  pair.client.close("done");
  await Promise.all(talkers.map(({ done }) => done));
});

test("while the present carrier lives, a better one that cannot be had is no reason to give the link up", async () => {
  const { pair, redialer, state } = await redialled();
  const talker = new Talker(await pair.client.open(1), { total: 1 });
  state.dial = async () => {
    throw new NoAgent();
  };
  redialer.replaceAll();
  await pair.clock.advance(3 * AGENT_GONE_MS, 100);
  assert.equal(pair.client.attached, true);
  state.dial = async () => pair.connect();
  await pair.clock.advance(3_000, 100);
  assert.equal(pair.carriers.length, 2, "it came at last");
  assert.equal(pair.client.attached, true);
  pair.client.close("done");
  await talker.done;
});

test("who dials learns that the last carrier was not taken", async () => {
  const { pair, state } = await redialled();
  const talker = new Talker(await pair.client.open(1), { total: 1 });
  await turns();
  state.dial = async () => {
    const carrier = pair.connect();
    if (state.dials.length < 3) pair.carriers.at(-1)!.far.destroy();
    return carrier;
  };
  pair.cut();
  await pair.clock.advance(30_000, 100);
  assert.deepEqual(state.refused, [false, true, true]);
  pair.client.close("done");
  await talker.done;
});

test("a carrier that has carried as much as it may is replaced, the new one first", async () => {
  const { pair, state } = await redialled();
  const talker = new Talker(await pair.client.open(1), { total: 100 * KIB });
  await turns();
  // Frames that mean nothing to this version; each may be a record of its own.
  const skipped = new Uint8Array(8 * 8192);
  for (let at = 2; at < skipped.length; at += 8) skipped[at] = 0x7f;
  for (let frames = 0; frames < CARRIER_WRITES - 8192; frames += 8192) pair.carriers[0]!.far.inject(skipped);
  await pair.clock.advance(500, 10);
  assert.equal(state.dials.length, 0);
  pair.carriers[0]!.far.inject(skipped);
  state.dial = async () => {
    assert.equal(pair.client.attached, true, "the present one serves until then");
    return pair.connect();
  };
  await pair.clock.advance(500, 10);
  assert.equal(state.dials.length, 1);
  await pair.clock.advance(500, 10);
  assert.equal(pair.client.attached, true);
  pair.client.close("done");
  await talker.done;
});
