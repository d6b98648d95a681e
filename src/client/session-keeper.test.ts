import assert from "node:assert/strict";
import { test } from "node:test";
import type { AppSessionAnswer } from "../api/mod.ts";
import { silentLogger, sleep } from "../base/mod.ts";
import { virtualClock } from "../testkit/mod.ts";
import type { AppSessions } from "./app-sessions.ts";
import { RENEW_AGAIN_MS, RENEW_RETRY_MS } from "./limits.ts";
import { SessionKeeper, tunnelSession } from "./session-keeper.ts";

const HOUR_MS = 3_600_000;

/** Auth, as far as sessions go: certificates of an hour, numbered. */
function setUp() {
  const clock = virtualClock();
  const state = { calls: [] as string[], away: false, inUse: false, livesMs: HOUR_MS };
  const answer = (session_id: string): AppSessionAnswer => ({
    session_id,
    cert: `certificate ${state.calls.length}`,
    app: "echo",
    public_addr: "echo.test",
    cluster: "c",
    agents: [{ host_id: "agent" }],
    generation: 1,
    host_cas: [],
    route_key: "",
    // Auth's own clock, which is not this machine's.
    expires: new Date(state.livesMs).toISOString(),
    server_time: new Date(0).toISOString(),
    proxies: [],
  });
  const call = async (what: string, id: string) => {
    state.calls.push(what);
    if (state.away) throw new Error("Auth is away");
    return answer(id);
  };
  const sessions: AppSessions = {
    create: () => call("create", `session ${state.calls.length}`),
    renew: ({ session_id }) => call("renew", session_id),
    agents: async () => ({ agents: [], host_cas: [] }),
    end: async (id) => void state.calls.push(`end ${id}`),
  };
  const { signal } = new AbortController();
  const user = { inUse: () => state.inUse, renewed: () => void state.calls.push("told") };
  const app = { name: "echo", publicAddr: "echo.test" };
  const keeper = new SessionKeeper(sessions, app, silentLogger, signal, user, clock);
  /** Keys take real time to sign requests. */
  const calls = async (...expected: string[]) => {
    for (let i = 0; i < 1_000 && state.calls.length < expected.length; i++) await sleep(5);
    assert.deepEqual(state.calls, expected);
  };
  return { clock, keeper, state, calls };
}

test("the certificate is renewed at half its life, with the same key and session", async () => {
  const { clock, keeper, state } = setUp();
  const first = await keeper.usable();
  clock.advance(HOUR_MS / 2 - 1);
  assert.equal(await keeper.usable(), first);
  clock.advance(1);
  const second = await keeper.usable();
  assert.deepEqual(state.calls, ["create", "renew", "told"]);
  assert.equal(second.answer.session_id, first.answer.session_id);
  assert.notEqual(tunnelSession(second).certPem, tunnelSession(first).certPem);
  assert.equal(second.keys, first.keys);
  clock.advance(HOUR_MS / 2);
  await keeper.present(first); // For a link that was made with the first one.
  assert.deepEqual(state.calls, ["create", "renew", "told", "renew", "told"]);
});

test("while Auth is away the old certificate serves, and is not asked about all the time", async () => {
  const { clock, keeper, state } = setUp();
  const first = await keeper.usable();
  clock.advance(HOUR_MS / 2);
  state.away = true;
  assert.equal((await keeper.usable()).answer, first.answer);
  assert.equal((await keeper.usable()).answer, first.answer);
  assert.deepEqual(state.calls, ["create", "renew"]);
  clock.advance(RENEW_RETRY_MS);
  state.away = false;
  assert.notEqual((await keeper.usable()).answer.cert, first.answer.cert);
});

test("after its end a session is not renewed: the next use opens another", async () => {
  const { clock, keeper, state } = setUp();
  const first = await keeper.usable();
  clock.advance(HOUR_MS);
  const next = await keeper.usable();
  assert.notEqual(next.answer.session_id, first.answer.session_id);
  assert.equal(await keeper.present(first), first, "a link of the first one has nothing but that");
  await keeper.end();
  assert.deepEqual(state.calls, ["create", "create", `end ${next.answer.session_id}`]);
});

test("while links use it, it is renewed without being asked for, and again when Auth was away", async () => {
  const { clock, keeper, state, calls } = setUp();
  const first = await keeper.usable();
  state.inUse = true;
  clock.advance(HOUR_MS / 2);
  await calls("create", "renew", "told");
  state.away = true;
  clock.advance(HOUR_MS / 2);
  await calls("create", "renew", "told", "renew");
  await keeper.present(first); // The refusal has been noted.
  state.away = false;
  clock.advance(RENEW_RETRY_MS);
  await calls("create", "renew", "told", "renew", "renew", "told");
});

test("a certificate that an agent may have refused is replaced before its time, but not time and again", async () => {
  const { clock, keeper, state, calls } = setUp();
  const first = await keeper.usable();
  clock.advance(RENEW_AGAIN_MS);
  const second = await keeper.present(first, true);
  assert.notEqual(second.answer.cert, first.answer.cert);
  assert.equal(await keeper.present(first, true).then(({ answer }) => answer.cert), second.answer.cert);
  state.inUse = true;
  clock.advance(RENEW_AGAIN_MS - 1);
  await calls("create", "renew", "told");
  clock.advance(1); // It was refused once more.
  await calls("create", "renew", "told", "renew", "told");
});

test("near the end of its login a certificate of little life is not renewed all the time", async () => {
  const { clock, keeper, state, calls } = setUp();
  state.livesMs = 2_000;
  await keeper.usable();
  state.inUse = true;
  clock.advance(60_000);
  await calls("create");
});

test("what is forgotten is not renewed", async () => {
  const { clock, keeper, state } = setUp();
  await keeper.usable();
  state.inUse = true;
  keeper.forget();
  assert.equal(clock.pending, 0);
});
