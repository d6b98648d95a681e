import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { AppSession } from "../../api/mod.ts";
import { silentLogger, systemClock } from "../../base/mod.ts";
import type { RpcClient, WatchEventOf } from "../../rpc/mod.ts";
import { openMemory } from "../../storage/mod.ts";
import type { Core } from "../core.ts";
import { ResourceStore } from "../store.ts";
import { dropMirrored, SessionMirror } from "./mirror.ts";

type Event = WatchEventOf<"app_session">;

const ROOT = "root.test";
const LEAF = "leaf.test";

function session(digit: string, spec: Partial<AppSession["spec"]> = {}): AppSession {
  const expires = new Date(Date.now() + 60_000).toISOString();
  return {
    kind: "app_session",
    version: "v1",
    metadata: { name: digit.repeat(32), expires },
    spec: { user: "alice", app: "db", public_addr: "db.leaf.test", cluster: LEAF, expires, ...spec },
  };
}

/** A leaf's storage, and a root that says what the test says. */
async function setup(t: TestContext, ...stored: AppSession[]) {
  const backend = openMemory({ clock: systemClock });
  const store = new ResourceStore(backend, systemClock);
  for (const each of stored) await store.create(each);
  const core = { store, authorities: { cluster: LEAF }, clock: systemClock, log: silentLogger } as unknown as Core;
  const said: Event[] = [];
  let wake = () => {};
  const client = {
    async *watch(_: unknown, signal: AbortSignal): AsyncGenerator<Event> {
      signal.addEventListener("abort", () => wake());
      while (!signal.aborted) {
        for (let next = said.shift(); next; next = said.shift()) yield next;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
  const mirror = new SessionMirror(core, ROOT, client as unknown as RpcClient);
  t.after(async () => {
    await mirror.close();
    await backend[Symbol.asyncDispose]();
  });
  const says = (...events: Event[]) => {
    said.push(...events);
    wake();
  };
  const kept = async () =>
    (await store.list("app_session")).map(({ metadata, spec }) => `${metadata.name[0]} ${spec.user} ${spec.root}`);
  return { core, says, kept };
}

async function soon(look: () => Promise<string[]>, wanted: string[]): Promise<void> {
  for (let i = 0; i < 100; i++) {
    if (JSON.stringify(await look()) === JSON.stringify(wanted)) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.deepEqual(await look(), wanted);
}

const put = (resource: AppSession): Event => ({ type: "put", resource });

test("what the root has is kept, without its route key, and what has ended is not", async (t) => {
  const key = Buffer.alloc(32).toString("base64");
  const { says, kept, core } = await setup(t, session("0", { root: ROOT }), session("1", { root: ROOT }));
  says(put(session("1")), put(session("2", { route_key: key })), { type: "init" });
  await soon(kept, [`1 alice ${ROOT}`, `2 alice ${ROOT}`]);
  assert.equal((await core.store.get("app_session", "2".repeat(32))).spec.route_key, undefined);
  says({ type: "delete", kind: "app_session", name: "1".repeat(32) }, put(session("3")));
  await soon(kept, [`2 alice ${ROOT}`, `3 alice ${ROOT}`]);
  await dropMirrored(core, ROOT);
  assert.deepEqual(await kept(), []);
});

test("a root may say what it likes of sessions that are not its own: nothing comes of it", async (t) => {
  const own = session("a", { user: "bob" });
  const others = session("b", { user: "carol", root: "other.test" });
  const { says, kept } = await setup(t, own, others);
  const before = ["a bob undefined", "b carol other.test"];
  says(put(session("a")), put(session("b")), put(session("c", { cluster: "third.test" })), { type: "init" });
  says(put(session("d")));
  await soon(kept, [...before, `d alice ${ROOT}`]);
  for (const digit of ["a", "b"]) says({ type: "delete", kind: "app_session", name: digit.repeat(32) });
  says({ type: "delete", kind: "app_session", name: "d".repeat(32) });
  await soon(kept, before);
});

test("a session that has expired on the way is not kept", async (t) => {
  const { says, kept } = await setup(t);
  const expires = new Date(Date.now() - 1).toISOString();
  says(put(session("a", { expires })), put(session("b")), { type: "init" });
  await soon(kept, [`b alice ${ROOT}`]);
});
