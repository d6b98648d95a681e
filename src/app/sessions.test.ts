import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { AppSession } from "../api/mod.ts";
import { FakeView, virtualClock } from "../testkit/mod.ts";
import { type AGENT_KINDS, Sessions } from "./sessions.ts";

const ID = "0123456789abcdef0123456789abcdef";

const clock = virtualClock();

function session(livesMs = 60_000): AppSession {
  const expires = new Date(clock.wallMs() + livesMs).toISOString();
  const spec = { user: "alice", app: "db", public_addr: "db.test", cluster: "c", expires };
  return { kind: "app_session", version: "v1", metadata: { name: ID }, spec };
}

function setup(t: TestContext) {
  const view = new FakeView<(typeof AGENT_KINDS)[number]>();
  const cut: string[] = [];
  const sessions = new Sessions(view, clock, (id, message) => cut.push(`${id}: ${message}`));
  t.after(() => sessions.close());
  return { view, cut, sessions };
}

test("the end of a session ends its links at once, and those of no other", async (t) => {
  const { view, cut, sessions } = setup(t);
  view.put(session());
  const link = Promise.withResolvers<void>();
  sessions.addLink(ID, link.promise);
  view.put({ ...session(), metadata: { name: "f".repeat(32) } });
  view.delete("app_session", "f".repeat(32));
  assert.deepEqual(cut, []);
  view.delete("app_session", ID);
  assert.deepEqual(cut, [`${ID}: the app session was ended`]);

  link.resolve();
  await link.promise;
  view.put(session());
  view.delete("app_session", ID);
  assert.equal(cut.length, 1, "a session without links needs no cut");
});

test("a session's expiry is seen without news of it, within a second", (t) => {
  const { view, cut, sessions } = setup(t);
  view.put(session(300));
  sessions.addLink(ID, new Promise(() => {}));
  clock.advance(299);
  assert.deepEqual(cut, []);
  clock.advance(1_000);
  assert.equal(cut[0], `${ID}: the app session has expired with its login`);
});

test("a session that Auth removes because it has expired is told apart from one that was ended", (t) => {
  const { view, cut, sessions } = setup(t);
  view.put(session(300));
  sessions.addLink(ID, new Promise(() => {}));
  clock.advance(300);
  view.delete("app_session", ID);
  assert.deepEqual(cut, [`${ID}: the app session has expired with its login`]);
});

test("a session that was prolonged by a renewal lives on", (t) => {
  const { view, cut, sessions } = setup(t);
  view.put(session(300));
  sessions.addLink(ID, new Promise(() => {}));
  view.put(session(90_000));
  clock.advance(60_000);
  assert.deepEqual(cut, []);
});

test("a link whose session ended while it was made is cut", (t) => {
  const { cut, sessions } = setup(t);
  sessions.addLink(ID, new Promise(() => {}));
  assert.deepEqual(cut, [`${ID}: the app session was ended`]);
});
