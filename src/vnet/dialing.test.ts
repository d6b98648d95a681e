import assert from "node:assert/strict";
import { test } from "node:test";
import type { ByteStream, Clock } from "../base/mod.ts";
import { StreamUser, streamPair } from "../testkit/mod.ts";
import { dialWithin } from "./dialing.ts";
import type { Directory } from "./directory.ts";
import { DialTimeoutError } from "./errors.ts";
import type { Target } from "./zones.ts";

const TARGET = { host: "a.test", cluster: {}, app: {} } as Target;

function fixture() {
  const dial = Promise.withResolvers<ByteStream>();
  let given: AbortSignal | undefined;
  const directory: Directory = {
    clusters: () => [],
    onChange: () => () => {},
    dial: (_cluster, _app, _port, signal) => {
      given = signal;
      return dial.promise;
    },
  };
  let expire = () => {};
  let timers = 0;
  const clock: Clock = {
    now: () => 0,
    wallMs: () => 0,
    after(_delayMs, run) {
      timers++;
      expire = run;
      return { cancel: () => timers-- };
    },
  };
  const ends = [new AbortController(), new AbortController()] as const;
  const signals = ends.map(({ signal }) => signal);
  const result = dialWithin(directory, TARGET, 80, clock, signals);
  result.catch(() => {});
  return { dial, ends, result, given: () => given, expire: () => expire(), timers: () => timers };
}

test("a stream in time is the answer, and no timer stays", async () => {
  const { dial, result, timers, given } = fixture();
  const [near] = streamPair();
  dial.resolve(near);
  assert.equal(await result, near);
  assert.deepEqual([timers(), given()!.aborted], [0, false]);
});

test("a failure is passed on as it is", async () => {
  const { dial, result, timers } = fixture();
  dial.reject(new Error("no route"));
  await assert.rejects(result, /no route/);
  assert.equal(timers(), 0);
});

for (const which of [0, 1] as const) {
  test(`the end of signal ${which} is the dial's, at once; what comes later is reset`, async () => {
    const { dial, ends, result, timers, given } = fixture();
    ends[which].abort(new Error("enough"));
    await assert.rejects(result, /enough/);
    assert.deepEqual([timers(), given()!.aborted], [0, true]);
    const [near, far] = streamPair();
    dial.resolve(near);
    assert.equal(await new StreamUser(far).closed, "shutdown");
  });
}

test("time ends it with an error that says so", async () => {
  const { result, expire, given } = fixture();
  expire();
  await assert.rejects(result, DialTimeoutError);
  assert.equal(given()!.aborted, true);
});

test("nothing is dialled for a signal that has ended already", async () => {
  let dialled = false;
  const directory = { dial: () => (dialled = true) } as unknown as Directory;
  const clock = { after: () => ({ cancel: () => {} }) } as unknown as Clock;
  await assert.rejects(dialWithin(directory, TARGET, 80, clock, [AbortSignal.abort(new Error("before"))]), /before/);
  assert.equal(dialled, false);
});
