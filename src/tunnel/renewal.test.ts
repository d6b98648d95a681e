import assert from "node:assert/strict";
import { test } from "node:test";
import { type Clock, sleep, systemClock } from "../base/mod.ts";
import { type AppSession, dialAppLink } from "./dial-app-link.ts";
import { clientTools, TestAuthority, TestProxy } from "./path-harness.ts";
import { Pinger } from "./pinger.ts";

const HOUR_MS = 3_600_000;
const STREAMS = 8;

/** A client with live streams, whose certificate the test renews. */
async function place(o: { transports?: number; resumeMs?: number; clock?: Clock } = {}) {
  const proxy = await TestProxy.start();
  const trust = { userCas: [proxy.authority.userCa.certPem] };
  const agent = await proxy.addAgent("agent-1", {
    linkSettings: () => ({ resumeMs: o.resumeMs ?? 60_000, transports: o.transports ?? 1 }),
    userCas: () => trust.userCas,
    clock: o.clock ?? systemClock,
  });
  const first = await proxy.session();
  const state = { session: first, asked: [] as boolean[], renew: async (session: AppSession) => session };
  const app = await dialAppLink({
    ...clientTools(),
    session: first,
    proxies: [proxy.address],
    resume: true,
    present: async (_, refused) => {
      state.asked.push(refused);
      if (refused) state.session = await state.renew(state.session);
      return { session: state.session, proxies: [proxy.address] };
    },
  });
  const last = (o.transports ?? 1) - 1;
  await until(() => app.link.stateOf(last) === "attached");
  const streams = await Promise.all(Array.from({ length: STREAMS }, async () => new Pinger(await app.link.open(1))));
  const move = () => Promise.all(streams.map((stream) => stream.moves()));
  await move();
  return {
    ...{ proxy, agent, app, trust, state, move },
    async wholeToTheEnd() {
      await move();
      for (const stream of streams) assert.equal(await stream.stop(), "end");
    },
    async [Symbol.asyncDispose]() {
      app.link.close("done");
      await proxy[Symbol.asyncDispose]();
    },
  };
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!holds()) {
    assert.ok(performance.now() < deadline, "it does not come to pass");
    await sleep(10);
  }
}

test("a renewed certificate is shown over a new carrier of each transport, under way and with nothing lost", async () => {
  await using placed = await place({ transports: 3 });
  const { proxy, agent, app, state, move, wholeToTheEnd } = placed;
  const before = agent.counters.get("link.attached");
  for (let round = 1; round <= 3; round++) {
    state.session = await proxy.authority.renewed(state.session);
    app.replaceCarriers();
    await until(() => agent.counters.get("link.attached") === before + 3 * round);
    await move();
  }
  await wholeToTheEnd();
});

test("a carrier whose certificate expires is given up by the agent; the renewed one goes on with its streams", async () => {
  const time = { offMs: 0 };
  const clock = { ...systemClock, wallMs: () => Date.now() + time.offMs };
  await using placed = await place({ clock });
  const { proxy, agent, state, app, wholeToTheEnd } = placed;
  state.session = await proxy.authority.renewed(state.session, Date.now() + 3 * HOUR_MS);
  time.offMs = HOUR_MS + 1_000;
  await until(() => agent.counters.get("link.outdated-carrier") === 1);
  await until(() => state.asked.length > 0 && app.link.attached);
  await wholeToTheEnd();
  assert.equal(agent.counters.get("link.outdated-carrier"), 1, "the new one is let be");
});

test("a carrier of a replaced authority is given up; who is refused asks for another certificate, and goes on", async () => {
  const next = await TestAuthority.create();
  await using placed = await place();
  const { agent, app, trust, state, wholeToTheEnd } = placed;
  state.renew = (session) => next.renewed(session);
  trust.userCas = [next.userCa.certPem];
  await until(() => agent.counters.get("link.outdated-carrier") === 1);
  await until(() => state.asked.includes(true) && app.link.attached);
  assert.equal(state.asked[0], false, "first with what it has");
  await wholeToTheEnd();
});

test("without another certificate the streams are reset after the resume window, and not before", async () => {
  const next = await TestAuthority.create();
  await using placed = await place({ resumeMs: 3_000 });
  const { agent, app, trust } = placed;
  trust.userCas = [next.userCa.certPem];
  await until(() => agent.counters.get("link.outdated-carrier") === 1);
  const lostAt = performance.now();
  assert.equal(app.link.ended, false);
  const { reason } = await app.link.closed;
  assert.equal(reason, "unreachable");
  assert.ok(performance.now() - lostAt > 2_000);
});
