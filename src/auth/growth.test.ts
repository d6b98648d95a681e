import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Backend } from "../storage/mod.ts";
import { announce, appServer, newCsr, TestAuth } from "./test-auth.ts";

const MANY = 1_000;

let auth: TestAuth;
before(async () => {
  auth = await TestAuth.start();
  await auth.createUser("alice", ["access"]);
});
after(() => auth?.close());

/** Items that `run` makes Auth read from its storage. */
async function itemsRead(run: () => Promise<unknown>): Promise<number> {
  const { backend } = auth;
  const { get, range }: Pick<Backend, "get" | "range"> = backend;
  let items = 0;
  backend.get = async (key) => {
    items++;
    return get.call(backend, key);
  };
  backend.range = async (...args) => {
    const found = await range.apply(backend, args);
    items += found.length;
    return found;
  };
  try {
    await run();
  } finally {
    Object.assign(backend, { get, range });
  }
  return items;
}

// `npm run bench -- auth` has the times, with ten thousand of each.
test("a login, an app session and a heartbeat read as little among a thousand apps and users as among few", async () => {
  const agent = await auth.host("App");
  const beat = (n: number) => announce(agent, appServer(agent.hostId, `app-${n}`));
  await beat(0);
  const alice = await auth.login("alice");
  const csr = await newCsr();
  const costs = async (n: number) => ({
    login: await itemsRead(() => auth.login("alice")),
    session: await itemsRead(async () => {
      const { session_id } = await alice.call("app_session.create", { app: `app-${n}`, csr });
      await alice.call("app_session.renew", { session_id, csr });
      await alice.call("app_session.end", { session_id });
    }),
    heartbeat: await itemsRead(() => beat(n)),
  });
  const few = await costs(0);
  const admin = await auth.admin();
  await Promise.all(
    Array.from({ length: MANY }, async (_, n) => {
      await beat(n);
      const metadata = { name: `user-${n}` };
      await admin.call("resource.create", {
        resource: { kind: "user", version: "v2", metadata, spec: { roles: ["access"] } },
      });
    }),
  );
  assert.deepEqual(await costs(MANY / 2), few);
});
