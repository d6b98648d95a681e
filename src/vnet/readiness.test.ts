import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { seededRandom } from "../base/mod.ts";
import { startVirtualVnet, virtualClock } from "../testkit/mod.ts";
import { READY_RETRY_MS, READY_TICK_MS, UNREADY_RETRY_MS } from "./limits.ts";
import { isProbe, newProbe } from "./probe.ts";
import { Readiness, type ReadinessOptions } from "./readiness.ts";

const ANSWER = "100.64.0.2";

/** A resolver that answers as `state` says, and all that is told. */
function start(t: TestContext, o: Partial<ReadinessOptions> = {}, answer: string[] | "silent" = [ANSWER]) {
  const time = virtualClock();
  let jumped = 0;
  const clock = { ...time, now: time.now, wallMs: () => time.wallMs() + jumped };
  const state = {
    answer,
    network: "home",
    mends: 0,
    zone: "company.test" as string | undefined,
  };
  const asked: string[] = [];
  const told: (string | undefined)[] = [];
  const readiness = new Readiness({
    clock,
    random: seededRandom(1),
    lookup: (name) => {
      asked.push(name);
      return state.answer === "silent" ? new Promise(() => {}) : Promise.resolve(state.answer);
    },
    zone: () => state.zone,
    answer: ANSWER,
    network: () => state.network,
    mend: async () => void state.mends++,
    tell: (problem) => void told.push(problem),
    ...o,
  });
  const end = new AbortController();
  const run = readiness.run(end.signal);
  const finish = async () => {
    end.abort();
    await run;
  };
  t.after(finish);
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 100) {
      await settle();
      time.advance(Math.min(100, left));
    }
    await settle();
  };
  return {
    state,
    asked,
    told,
    pass,
    end: finish,
    jump: (ms: number) => {
      jumped += ms;
    },
  };
}

test("a probe is a name that VNet itself answers, whoever asks and wherever it lies", async (t) => {
  const name = newProbe("company.test", seededRandom(1));
  assert.match(name, /^vnet-diag-[0-9a-f]{16}\.company\.test$/);
  for (const other of ["vnet-diag-.company.test", "vnet-diag-0123456789abcdef", "a.vnet-diag-0123456789abcdef.test"]) {
    assert.ok(!isProbe(other), other);
  }
  const { host, forwarded, vnet } = startVirtualVnet(t);
  for (const each of [name, name.toUpperCase(), newProbe("elsewhere.example", seededRandom(2))]) {
    assert.deepEqual((await host.lookup(each)).addresses, ["192.168.2.2"]);
    assert.equal((await host.lookup(each, "AAAA")).addresses.length, 1);
  }
  assert.deepEqual([forwarded.length, vnet.stats().names.length, vnet.counters.get("vnet.probes")], [0, 0, 6]);
});

test("ready is said after a probe came back, each with a name of its own", async (t) => {
  const { asked, told, pass } = start(t);
  await pass(100);
  assert.deepEqual(told, [undefined]);
  assert.ok(asked.every(isProbe));
  await pass(60_000);
  assert.deepEqual([asked.length, told.length], [1, 1], "no more questions without a reason");
});

test("without a zone there is nothing to try", async (t) => {
  const { asked, told, pass } = start(t, { zone: () => undefined });
  await pass(100);
  assert.deepEqual([asked, told], [[], [undefined]]);
});

test("what does not come back is mended once, tried again, told once; and told when it works", async (t) => {
  for (const [answer, reason] of [
    [[], /does not ask VNet for names below company\.test/],
    [["203.0.113.9"], /somebody else answers .* with 203\.0\.113\.9/],
    ["silent", /does not answer/],
  ] as const) {
    const { state, told, pass } = start(t, {}, answer === "silent" ? answer : [...answer]);
    for (let waited = 0; told.length === 0 && waited < 60_000; waited += 100) await pass(100);
    assert.deepEqual([told.length, state.mends], [1, 1]);
    assert.match(told[0]!, reason);
    state.answer = [ANSWER];
    await pass(UNREADY_RETRY_MS + 100);
    assert.deepEqual(told.slice(1), [undefined]);
  }
});

test("the end is not waited for, whatever is under way", async (t) => {
  const lookup = () => new Promise<never>(() => {});
  const readiness = start(t, { lookup });
  await readiness.pass(100);
  await readiness.end();
  assert.deepEqual(readiness.told, []);
});

test("a machine that slept, a clock that was set and another network are reasons to try again, and to mend", async (t) => {
  const { state, asked, told, pass, jump } = start(t);
  await pass(100);
  jump(3_600_000);
  await pass(READY_TICK_MS + 200);
  assert.deepEqual([asked.length, state.mends, told.length], [2, 0, 1]);
  jump(-10_000);
  await pass(READY_TICK_MS + 200);
  assert.equal(asked.length, 3);
  state.network = "train";
  state.answer = [];
  await pass(READY_TICK_MS + 200);
  assert.equal(state.mends, 1);
  state.answer = [ANSWER];
  await pass(READY_RETRY_MS + 200);
  assert.deepEqual(told, [undefined], "mended before anybody noticed");
});
