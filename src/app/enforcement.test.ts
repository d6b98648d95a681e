import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Lock } from "../api/mod.ts";
import type { Clock } from "../base/mod.ts";
import { FakeView, virtualClock } from "../testkit/mod.ts";
import type { LinkContext } from "../tunnel/mod.ts";
import { authorize, standing } from "./authorize.ts";
import { Enforcement } from "./enforcement.ts";
import type { AGENT_KINDS } from "./sessions.ts";

assert.ok(authorize); // the same decision is made for new connections

function contextOf(user: string): LinkContext {
  const route = { app: "db", publicAddr: "db.test", cluster: "c", sessionId: user.repeat(32).slice(0, 32) };
  const identity = { kind: "app", cluster: "c", user, roles: [], traits: {}, expires: 0, route } as const;
  return { identity, route: { clientAddress: "" } } as unknown as LinkContext;
}

function lock(name: string, target: Lock["spec"]["target"], expires?: string): Lock {
  return { kind: "lock", version: "v2", metadata: { name }, spec: { target, ...(expires && { expires }) } };
}

function setup(t: TestContext) {
  const view = new FakeView<(typeof AGENT_KINDS)[number]>();
  const clock: Clock & { advance(ms: number): void } = virtualClock();
  const log: string[] = [];
  const people = ["a", "b"].map(contextOf);
  let staleMs = 0;
  const enforcement = new Enforcement({
    view,
    clock,
    connections: {
      enforce(verdict) {
        for (const context of people) {
          const reason = verdict(context);
          if (reason !== undefined) log.push(`stream of ${context.identity.user}: ${reason}`);
        }
      },
    },
    standing: (identity) =>
      standing(identity, {
        cluster: "c",
        hostId: "h",
        now: clock.wallMs(),
        locks: view.list("lock"),
        preference: view.get("cluster_auth_preference", "cluster-auth-preference"),
        staleMs,
        role: () => undefined,
        roleMap: () => undefined,
      }),
  });
  t.after(() => enforcement.close());
  for (const context of people) addLink(context);
  function addLink(context: LinkContext) {
    enforcement.addLink(
      {
        closed: new Promise(() => {}),
        close: (code, message) => log.push(`link of ${context.identity.user}: ${code} ${message}`),
      },
      context,
    );
  }
  return { view, clock, log, addLink, stale: (ms: number) => (staleMs = ms) };
}

test("a lock ends connections, then links, at its news; those of others stay", (t) => {
  const { view, log } = setup(t);
  view.put(lock("l", { user: "a" }));
  assert.deepEqual(log, [
    'stream of a: lock targeting User:"a" is in force',
    'link of a: access-denied lock targeting User:"a" is in force',
  ]);
});

test("a link that was being made when the lock came is ended", (t) => {
  const { view, log, addLink } = setup(t);
  view.put(lock("l", { user: "c" }));
  assert.deepEqual(log, []);
  addLink(contextOf("c"));
  assert.deepEqual(log, ['link of c: access-denied lock targeting User:"c" is in force']);
});

test("a lock on this agent ends everything; one on another agent nothing", (t) => {
  const { view, log } = setup(t);
  view.put(lock("l1", { server_id: "other" }));
  assert.equal(log.length, 0);
  view.put(lock("l2", { server_id: "h" }));
  assert.equal(log.length, 4);
});

test("strict cuts off after a minute without news; best_effort holds its locks for ever", (t) => {
  const { view, clock, log, stale } = setup(t);
  stale(60_001);
  clock.advance(1_000);
  assert.deepEqual(log, []);
  view.put({
    kind: "cluster_auth_preference",
    version: "v2",
    metadata: { name: "cluster-auth-preference" },
    spec: { locking_mode: "strict" },
  });
  clock.advance(1_000);
  assert.equal(log.length, 4);
  assert.match(log[0] ?? "", /locking_mode is strict/);
});
