import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { type Clock, systemClock } from "../base/mod.ts";
import { CARRIER_BURST, MAX_LIVE_CARRIERS, REPLAY_WINDOW } from "./limits.ts";
import { ReplayWindow } from "./replay-window.ts";
import { RouteCounters } from "./route-counters.ts";
import { ANY_INSTANCE, encodeRouteToken, linkSessionOf, routeTokenOf } from "./route-token.ts";
import { RouteVerifier } from "./route-verifier.ts";
import type { RouteSession } from "./types.ts";

const routeKey = new Uint8Array(32).fill(3);
const sessionId = "00112233445566778899aabbccddeeff";
const cluster = "example.test";
const session: RouteSession = { sessionId, routeKey, cluster, app: "tcp-app", expires: 1000 };

/** Stands still unless told. */
function still(o: { now?: number; wallMs?: number } = {}): Clock {
  return { ...systemClock, now: () => o.now ?? 0, wallMs: () => o.wallMs ?? 0 };
}

function token(counter: number, key = routeKey): string {
  return encodeRouteToken({ sessionId, instance: ANY_INSTANCE, counter }, cluster, key);
}

test("the token is what PROTOCOL section 2 says", () => {
  const body = Buffer.concat([Buffer.from(sessionId, "hex"), Buffer.alloc(8), Buffer.from([0, 0, 0, 0, 0, 0, 1, 2])]);
  const message = Buffer.concat([Buffer.from("tp-route/1\0example.test\0"), body]);
  const mac = createHmac("sha256", routeKey).update(message).digest().subarray(0, 16);
  assert.equal(token(258), `r1.${Buffer.concat([body, mac]).toString("base64url")}`);
  assert.deepEqual(routeTokenOf(["tp-link/1", token(258)]), { sessionId, instance: ANY_INSTANCE, counter: 258, mac });
});

test("what is not exactly one canonical route entry is refused", () => {
  const good = token(1);
  for (const [reason, alpn] of [
    ["route.missing", ["tp-link/1"]],
    ["route.two", [good, good]],
    ["route.two", [good, "r1."]],
    ["route.syntax", ["r1."]],
    ["route.syntax", [`${good}=`]],
    ["route.syntax", [`${good}A`]],
    ["route.syntax", [good.slice(0, -1)]],
    ["route.syntax", [good.replace("r1.", "r1.\n")]],
    ["route.syntax", [good.replace(/.$/, "+")]],
    ["route.counter", [`r1.${Buffer.alloc(48, 0xff).toString("base64url")}`]],
  ] satisfies Array<[string, string[]]>) {
    assert.deepEqual(routeTokenOf(alpn), { malformed: reason });
  }
  assert.deepEqual(linkSessionOf([good]), { malformed: "route.no-link" });
  assert.equal(linkSessionOf(["tp-link/1", good]), sessionId);
});

// The oracle: a set of all counters ever taken.
test("the window takes each counter once, unless it is too far below the highest", () => {
  const step = fc.oneof(
    fc.integer({ min: -2000, max: 2000 }),
    fc.integer({ min: -10, max: 60 }),
    fc.constantFrom(1, -REPLAY_WINDOW, 1 - REPLAY_WINDOW, 100_000),
  );
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 52 }), fc.array(step, { maxLength: 300 }), (start, steps) => {
      const window = new ReplayWindow();
      const taken = new Set<number>();
      let highest = -1;
      let counter = start;
      for (const by of steps) {
        counter = Math.max(0, counter + by);
        const expected = !taken.has(counter) && highest - counter < REPLAY_WINDOW;
        assert.equal(window.take(counter), expected, `${counter}, highest ${highest}`);
        if (!expected) continue;
        taken.add(counter);
        highest = Math.max(highest, counter);
      }
    }),
  );
});

test("the window's two edges, and its words one after the other", () => {
  const window = new ReplayWindow();
  assert.ok(window.take(5000));
  assert.ok(!window.take(5000 - REPLAY_WINDOW));
  assert.ok(window.take(5001 - REPLAY_WINDOW));
  assert.ok(!window.take(5001 - REPLAY_WINDOW));
  for (let counter = 5001; counter < 9000; counter++) assert.ok(window.take(counter), `${counter}`);
});

test("the verdicts", () => {
  const verifier = new RouteVerifier(still());
  const verify = (text: string, known: RouteSession | null = session) => {
    const verdict = verifier.verify(routeTokenOf([text]), known ?? undefined);
    return verdict.kind === "route" ? "route" : `${verdict.kind}: ${verdict.reason}`;
  };
  assert.equal(verify(token(1), null), "unrecognized: route.unknown-session");
  assert.equal(verify(token(1), { ...session, expires: 0 }), "unrecognized: route.expired");
  assert.equal(verify(token(1, new Uint8Array(32))), "unrecognized: route.mac");
  assert.equal(verify(token(1), { ...session, cluster: "other.test" }), "unrecognized: route.mac");
  assert.equal(verify(token(1)), "route");
  assert.equal(verify(token(1)), "unrecognized: route.replay");
  assert.equal(verify(token(2000)), "route");
  assert.equal(verify(token(2)), "unrecognized: route.replay");
});

test("a wrong MAC costs the session nothing", () => {
  const verifier = new RouteVerifier(still());
  for (let i = 0; i < 1000; i++) verifier.verify(routeTokenOf([token(i, new Uint8Array(32))]), session);
  assert.equal(verifier.verify(routeTokenOf([token(0)]), session).kind, "route");
});

test("10 new carriers a second, 20 at once, 16 live", () => {
  const time = { now: 0 };
  const verifier = new RouteVerifier(still(time));
  let counter = 0;
  const next = () => {
    const verdict = verifier.verify(routeTokenOf([token(++counter)]), session);
    return verdict.kind === "route" ? "route" : verdict.reason;
  };
  for (let i = 0; i < CARRIER_BURST; i++) {
    assert.equal(next(), "route");
    verifier.ended(sessionId);
  }
  assert.equal(next(), "route.rate");
  time.now = 99;
  assert.equal(next(), "route.rate");
  time.now = 100;
  assert.equal(next(), "route");
  verifier.ended(sessionId);
  time.now = 10_000;
  for (let i = 0; i < MAX_LIVE_CARRIERS; i++) assert.equal(next(), "route");
  assert.equal(next(), "route.live-carriers");
  verifier.ended(sessionId);
  assert.equal(next(), "route");
});

test("a client's counters rise, and those of the next process are above them", () => {
  const time = { wallMs: 1_000_000 };
  const first = new RouteCounters(still(time));
  const taken = Array.from({ length: 5 }, () => first.next("s", "p"));
  assert.deepEqual(
    taken.map((counter) => counter - taken[0]!),
    [0, 1, 2, 3, 4],
  );
  time.wallMs += 5;
  const second = new RouteCounters(still(time));
  assert.ok(second.next("s", "p") > first.next("s", "q") - 5 * 1024);
  assert.ok(second.next("s", "p") > taken.at(-1)! + REPLAY_WINDOW);
});
