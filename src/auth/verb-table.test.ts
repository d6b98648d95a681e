import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { KINDS, type Kind, type Resource } from "../api/mod.ts";
import { OperationError, systemClock } from "../base/mod.ts";
import type { RpcClient } from "../rpc/mod.ts";
import { sampleResources } from "../testkit/mod.ts";
import { ResourceStore } from "./store.ts";
import { CLUSTER, TestAuth } from "./test-auth.ts";

const VERBS = ["create", "update", "upsert", "get", "list", "delete", "watch"] as const;
type Verb = (typeof VERBS)[number];

const CALLERS = ["nobody", "user", "editor", "agent"] as const;
type Caller = (typeof CALLERS)[number];

/** One letter for each answer. */
const ANSWERS: Readonly<Record<string, string>> = {
  "api.access-denied": "-",
  "api.unauthenticated": "x",
  "api.not-found": "n",
  "api.bad-input": "b",
};

/**
 * What each caller is answered, one letter for each verb in the order above:
 * `+` done, `-` access denied, `x` log in first, `n` not found (it is there, and
 * not the caller's to know of), `b` refused for another reason.
 */
const EXPECTED: Readonly<Record<Kind, readonly [nobody: string, user: string, editor: string, agent: string]>> = {
  vnet_config: ["xxxxxxx", "---++-+", "+++++++", "-------"],
  // An editor may write apps and reaches none.
  app: ["xxxxxxx", "---++-+", "+++n+++", "---++-+"],
  // Announcements are the agents' own; an editor may remove one.
  app_server: ["xxxxxxx", "---++-+", "---n+++", "+++++++"],
  user: ["xxxxxxx", "-------", "+++++++", "-------"],
  role: ["xxxxxxx", "-------", "+++++++", "---++-+"],
  token: ["xxxxxxx", "-------", "+++++++", "-------"],
  lock: ["xxxxxxx", "-------", "+++++++", "---++-+"],
  cluster_auth_preference: ["xxxxxxx", "---++-+", "+++++++", "---++-+"],
  // The sample's root cluster does not answer.
  trusted_cluster: ["xxxxxxx", "-------", "bbb++++", "-------"],
  remote_cluster: ["xxxxxxx", "---++-+", "---++++", "-------"],
  cluster_networking_config: ["xxxxxxx", "---++-+", "+++++++", "---++-+"],
  cert_authority: ["xxxxxxx", "---++-+", "---++-+", "---++-+"],
  proxy: ["xxxxxxx", "---++-+", "---++-+", "---++-+"],
  // The sample is the user's own session.
  app_session: ["xxxxxxx", "---++-+", "---n+-+", "---++-+"],
};

let auth: TestAuth;
let store: ResourceStore;
const clients = new Map<Caller, RpcClient>();
let samples: { readonly [K in Kind]: Resource };

before(async () => {
  auth = await TestAuth.start();
  store = new ResourceStore(auth.backend, systemClock);
  await auth.createUser("alice", ["access"]);
  await auth.createUser("ed", ["editor"]);
  const agent = await auth.host("App");
  clients.set("nobody", auth.client());
  clients.set("user", await auth.as("alice"));
  clients.set("editor", await auth.as("ed"));
  clients.set("agent", agent);
  samples = sampleResources({ host: agent.hostId, user: "alice", cluster: CLUSTER });
});
after(() => auth?.close());

for (const kind of KINDS) {
  test(`${kind}: every verb, as nobody, a user, an editor and an agent`, async () => {
    const answered: string[] = [];
    for (const caller of CALLERS) {
      let letters = "";
      for (const verb of VERBS) letters += await outcome(clients.get(caller)!, verb, samples[kind]);
      answered.push(letters);
    }
    assert.deepEqual(answered, EXPECTED[kind]);
  });
}

async function outcome(client: RpcClient, verb: Verb, sample: Resource): Promise<string> {
  const { kind, metadata } = sample;
  const { name } = metadata;
  await store.delete(kind, name).catch(() => {});
  const resource = verb === "create" ? sample : await store.upsert(sample);
  try {
    switch (verb) {
      case "create":
      case "update":
      case "upsert":
        await client.call(`resource.${verb}`, { resource });
        break;
      case "get":
      case "delete":
        await client.call(`resource.${verb}`, { kind, name });
        break;
      case "list":
        await client.call("resource.list", { kind });
        break;
      case "watch": {
        const events = client.watch([kind]);
        await events.next();
        await events.return?.(undefined);
      }
    }
    return "+";
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    return ANSWERS[error.code] ?? `<${error.code} ${error.message}>`;
  } finally {
    await store.delete(kind, name).catch(() => {});
  }
}
