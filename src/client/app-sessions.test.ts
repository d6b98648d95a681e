import assert from "node:assert/strict";
import { test } from "node:test";
import type { RpcClient } from "../rpc/mod.ts";
import { leafSessions } from "./app-sessions.ts";
import type { MfaDesk } from "./mfa-desk.ts";

const APP = { name: "db", publicAddr: "db.leaf.test" };
const NEVER = new AbortController().signal;

/** A leaf that names its agents, and a root whose sessions say none. */
function setup(mfa_required: boolean) {
  const asked: string[] = [];
  const leaf = {
    call: async (method: string, request: object) => {
      asked.push(`leaf ${method} ${JSON.stringify(request)}`);
      return { agents: [{ host_id: "h" }], generation: 1, host_cas: ["leaf CA"], mfa_required };
    },
  };
  const session = { session_id: "1", app: "db", public_addr: "db.leaf.test", agents: [], host_cas: ["?"] };
  const root = {
    call: async (method: string) => {
      asked.push(`root ${method}`);
      return session;
    },
  };
  const open = (how: string) => async (_: unknown, request: object) => {
    asked.push(`${how} ${JSON.stringify(request)}`);
    return session;
  };
  const desk = { openSession: open("open"), openWithFactor: open("open with a factor") };
  const sessions = leafSessions(
    root as unknown as RpcClient,
    leaf as unknown as RpcClient,
    "leaf.test",
    desk as unknown as MfaDesk,
  );
  return { sessions, asked };
}

test("a leaf's session: agents from the leaf, the session from the root, with a second factor if the leaf wants one", async () => {
  for (const [required, how] of [
    [false, "open"],
    [true, "open with a factor"],
  ] as const) {
    const { sessions, asked } = setup(required);
    const answer = await sessions.create(APP, "csr", NEVER);
    assert.deepEqual([answer.agents, answer.host_cas], [[{ host_id: "h" }], ["leaf CA"]]);
    assert.deepEqual(asked, [
      'leaf app.agents {"app":"db","public_addr":"db.leaf.test"}',
      `${how} {"app":"db","cluster":"leaf.test","public_addr":"db.leaf.test","csr":"csr"}`,
    ]);
  }
});

test("a renewal is the root's; who may answer is asked of the leaf again", async () => {
  const { sessions, asked } = setup(false);
  const answer = await sessions.create(APP, "csr", NEVER);
  asked.length = 0;
  const renewed = await sessions.renew(answer, "csr", NEVER);
  assert.deepEqual(renewed.host_cas, ["leaf CA"]);
  assert.deepEqual(asked, ["root app_session.renew", 'leaf app.agents {"app":"db","public_addr":"db.leaf.test"}']);
});
