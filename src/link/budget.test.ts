import assert from "node:assert/strict";
import { test } from "node:test";
import { type ByteStream, seededRandom } from "../base/mod.ts";
import { Budget, LinkBudget, type Share } from "./budget.ts";
import { CreditPool } from "./credit.ts";
import { LinkBudgetError, LinkRefusedError } from "./errors.ts";
import { LINK_CREDIT_MIN, MAX_FRAME, MAX_TRANSPORTS, MIN_WINDOW, TRANSPORT_REPLAY_MIN } from "./limits.ts";
import { linkPair, Talker, turns } from "./link-harness.ts";
import { below } from "./resume-harness.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const LINKS = 16;
const SMALL = { credit: 4 * MIB, replay: LINKS * MAX_TRANSPORTS * TRANSPORT_REPLAY_MIN + MIB, links: LINKS };
/** What is not kept as somebody's minimum, of each. */
const COMMON = { credit: SMALL.credit - LINKS * LINK_CREDIT_MIN, replay: MIB };

function smallBudgets() {
  return { client: new LinkBudget(SMALL), server: new LinkBudget(SMALL) };
}

const NOBODY = { data: () => {}, end: () => {}, reset: () => {}, writable: () => {} };

// ---- shares

test("a budget is never exceeded, and each share can always have its minimum", () => {
  const seed = Date.now() & 0xffff;
  const random = seededRandom(seed);
  const budget = new Budget(2000, 20, 50);
  const shares: Share[] = [];
  for (let step = 0; step < 20_000; step++) {
    if (shares.length < 20 && below(random, 10) === 0) shares.push(budget.join());
    const share = shares[below(random, shares.length || 1)];
    if (share === undefined) continue;
    if (below(random, 3) === 0) share.use(below(random, share.used + 1));
    else if (share.room > 0) share.use(share.used + below(random, share.room + 1));
    const used = shares.reduce((sum, each) => sum + each.used, 0);
    assert.ok(used <= 2000, `seed ${seed}, step ${step}: ${used} of 2000`);
    for (const each of shares) assert.ok(each.used + each.left >= 50, `seed ${seed}, step ${step}`);
    if (shares.length === 20 && below(random, 50) === 0) {
      const gone = shares.pop()!;
      gone.use(0);
      gone.leave();
    }
  }
});

test("greedy shares end with equal parts, and leave one for a newcomer", () => {
  const budget = new Budget(1050, 5, 10);
  const shares = Array.from({ length: 4 }, () => budget.join());
  for (let round = 0; round < 150; round++) for (const share of shares) share.use(share.used + Math.sign(share.room));
  for (const share of shares) assert.ok(Math.abs(share.used - 104) <= 4, `${share.used}`);
  assert.ok(budget.join().room >= 100);
});

test("busy streams of links that came first give way to those of a later one", () => {
  const budget = new Budget(8 * MIB, LINKS, LINK_CREDIT_MIN);
  const shares = Array.from({ length: LINKS }, () => budget.join());
  const pools = shares.map((share) => ({ pool: new CreditPool(share), windows: [0, 0] }));
  const read = (busy: typeof pools) => {
    for (let round = 0; round < 100; round++) {
      for (const { pool, windows } of busy) {
        for (const [i, window] of windows.entries()) windows[i] = window === 0 ? pool.open() : pool.renew(window);
      }
    }
  };
  read(pools.slice(0, LINKS - 1));
  read(pools);
  const used = shares.map((share) => share.used).sort((a, b) => a - b);
  assert.ok(used[0]! >= LINK_CREDIT_MIN / 2, `${used}`);
  assert.ok(used.at(-1)! <= 4 * used[0]!, `${used}`);
  for (const [i, { windows }] of pools.entries()) assert.equal(windows[0]! + windows[1]!, shares[i]!.used);
});

// ---- links

test("many links whose readers stand still hold no more than the process gives, and a late one still moves", async () => {
  const budgets = smallBudgets();
  const lazy = await Promise.all(
    Array.from({ length: LINKS - 1 }, async () => {
      const pair = linkPair({ budgets, onOpen: (request) => request.accept().open(NOBODY) });
      const streams = await Promise.all(Array.from({ length: 8 }, () => pair.client.open(1)));
      for (const stream of streams) new Talker(stream, { total: MIB });
      return pair;
    }),
  );
  await turns(60);
  const held = lazy.reduce((sum, { server }) => sum + server.heldOctets, 0);
  assert.ok(held > MIB, `${held} octets: they did press`);
  assert.ok(held <= SMALL.credit, `${held} octets`);
  for (const { server } of lazy) assert.ok(server.heldOctets >= LINK_CREDIT_MIN / 2, `${server.heldOctets} octets`);
  await transfersWhole(budgets, 2 * MIB);
  for (const { client } of lazy) client.close("done");
});

test("many links that nobody acknowledges keep no more than the process does, and a late one still moves", async () => {
  const budgets = smallBudgets();
  const deaf = await Promise.all(
    Array.from({ length: LINKS - 1 }, async () => {
      const pair = linkPair({ budgets, carrier: { highWaterMark: 64 * MIB }, onOpen: (r) => r.accept().open(NOBODY) });
      const streams = await Promise.all(Array.from({ length: 2 }, () => pair.client.open(1)));
      pair.clientCarrier.held = true;
      for (const stream of streams) new Talker(stream, { total: MIB });
      return pair;
    }),
  );
  await turns(60);
  const replays = deaf.map(({ client }) => client.unackedOctets);
  const kept = replays.reduce((sum, octets) => sum + octets, 0);
  assert.ok(kept > MIB, `${kept} octets: they did press`);
  assert.ok(kept <= SMALL.replay, `${kept} octets`);
  assert.ok(Math.min(...replays) >= MAX_FRAME, `${Math.min(...replays)} octets: each has something on its way`);
  await transfersWhole(budgets, 2 * MIB);
  for (const { client } of deaf) client.close("done");
});

/** One more link between the same two processes carries this much both ways. */
async function transfersWhole(budgets: ReturnType<typeof smallBudgets>, total: number): Promise<void> {
  let far: Talker | undefined;
  const { client, server } = linkPair({
    budgets,
    onOpen: (request) => {
      far = new Talker(request.accept(), { total });
    },
  });
  const near = new Talker(await client.open(1), { total });
  assert.deepEqual(await near.done, {});
  assert.deepEqual(await far!.done, {});
  assert.equal(near.hashIn, far!.hashOut);
  assert.equal(far!.hashIn, near.hashOut);
  client.close("done");
  await server.closed;
}

test("sixteen links move at once within small budgets, each octet where it belongs", async () => {
  const budgets = smallBudgets();
  await Promise.all(Array.from({ length: LINKS }, () => transfersWhole(budgets, MIB)));
  for (const budget of [budgets.client, budgets.server]) {
    assert.equal(budget.credit.common, COMMON.credit, "all of it is back");
    assert.equal(budget.replay.common, COMMON.replay, "all of it is back");
    assert.equal(budget.full, false);
  }
});

test("streams beyond the process's credit are refused, at either end, and their end makes room", async () => {
  const few = { credit: 4 * LINK_CREDIT_MIN, replay: 2 * MIB, links: 2 };
  const roomy = { credit: 64 * MIB, replay: 2 * MIB, links: 2 };
  const most = few.credit / MIN_WINDOW;
  for (const scarce of ["client", "server"] as const) {
    const budgets = { client: new LinkBudget(roomy), server: new LinkBudget(roomy) };
    budgets[scarce] = new LinkBudget(few);
    const { client } = linkPair({ budgets, onOpen: (request) => request.accept().open(NOBODY) });
    const streams: ByteStream[] = [];
    const refusal = await (async () => {
      for (;;) streams.push(await client.open(1));
    })().catch((error: unknown) => error);
    assert.ok(scarce === "client" ? refusal instanceof LinkBudgetError : isLimit(refusal), `${refusal}`);
    assert.ok(streams.length >= 16 && streams.length <= most, `${streams.length} streams`);
    streams.pop()!.reset("peer");
    await turns();
    assert.ok(await client.open(1));
    client.close("done");
  }
});

function isLimit(error: unknown): boolean {
  return error instanceof LinkRefusedError && error.refusal === "limit";
}

test("a process has so many links, and one that ends makes room", async () => {
  const budgets = smallBudgets();
  const pairs = Array.from({ length: LINKS }, () => linkPair({ budgets, onOpen: () => {} }));
  assert.ok(budgets.client.full);
  assert.throws(() => linkPair({ budgets, onOpen: () => {} }), LinkBudgetError);
  pairs[0]!.client.close("done");
  await pairs[0]!.server.closed;
  pairs[0] = linkPair({ budgets, onOpen: () => {} });
  for (const { client } of pairs) client.close("done");
});
