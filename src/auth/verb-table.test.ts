import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { KINDS, type Kind, type Resource } from "../api/mod.ts";
import { OperationError, systemClock } from "../base/mod.ts";
import { createCa, generateKeyPair, issueHostCert, issueUserCert } from "../pki/mod.ts";
import type { ClientIdentity, RpcClient } from "../rpc/mod.ts";
import { sampleResources } from "../testkit/mod.ts";
import { putAuthority } from "./federation/authorities.ts";
import { ResourceStore } from "./store.ts";
import { CLUSTER, TestAuth } from "./test-auth.ts";

const VERBS = ["create", "update", "upsert", "get", "list", "delete", "watch"] as const;
type Verb = (typeof VERBS)[number];

const CALLERS = ["nobody", "user", "editor", "agent", "root's user", "leaf"] as const;
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
 * not the caller's to know of), `b` refused for another reason. A root's user is
 * one whose role map makes this cluster's `access` of theirs; a leaf is its Auth.
 */
const EXPECTED: Readonly<Record<Kind, readonly string[]>> = {
  vnet_config: ["xxxxxxx", "---++-+", "+++++++", "-------", "---++-+", "-------"],
  // An editor may write apps and reaches none.
  app: ["xxxxxxx", "---++-+", "+++n+++", "---++-+", "---++-+", "-------"],
  // Announcements are the agents' own; an editor may remove one.
  app_server: ["xxxxxxx", "---++-+", "---n+++", "+++++++", "---++-+", "-------"],
  user: ["xxxxxxx", "-------", "+++++++", "-------", "-------", "-------"],
  role: ["xxxxxxx", "-------", "+++++++", "---++-+", "-------", "-------"],
  token: ["xxxxxxx", "-------", "+++++++", "-------", "-------", "-------"],
  lock: ["xxxxxxx", "-------", "+++++++", "---++-+", "-------", "-------"],
  cluster_auth_preference: ["xxxxxxx", "---++-+", "+++++++", "---++-+", "-------", "-------"],
  // The sample's root cluster does not answer.
  trusted_cluster: ["xxxxxxx", "-------", "bbb++++", "-------", "-------", "-------"],
  remote_cluster: ["xxxxxxx", "---++-+", "---++++", "-------", "-------", "-------"],
  cluster_networking_config: ["xxxxxxx", "---++-+", "+++++++", "---++-+", "-------", "-------"],
  cert_authority: ["xxxxxxx", "---++-+", "---++-+", "---++-+", "-------", "-------"],
  proxy: ["xxxxxxx", "---++-+", "---++-+", "---++-+", "---++-+", "-------"],
  // The sample is the user's own session.
  app_session: ["xxxxxxx", "---++-+", "---n+-+", "---++-+", "-------", "------+"],
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
  clients.set("root's user", auth.client(await userOfRoot()));
  clients.set("leaf", auth.client(await authOfLeaf()));
  samples = sampleResources({ host: agent.hostId, user: "alice", cluster: CLUSTER });
});
after(() => auth?.close());

/** Of a root cluster that this one trusts. */
async function userOfRoot(): Promise<ClientIdentity> {
  const cluster = "root-of-it.test";
  const now = Date.now();
  const ca = await createCa({ cluster, type: "user", now });
  const roleMap = [{ remote: "access", local: ["access"] }];
  await putAuthority(store, { cluster, type: "user", certs: [ca.certPem], roleMap });
  const { publicKeyPem, keyPem } = await generateKeyPair();
  const person = { user: "alice", roles: ["access"], traits: {}, expires: now + 3_600_000 };
  return { certPem: await issueUserCert({ ca, cluster, publicKeyPem, now, ...person }), keyPem };
}

async function authOfLeaf(): Promise<ClientIdentity> {
  const cluster = "leaf-of-it.test";
  const now = Date.now();
  const ca = await createCa({ cluster, type: "host", now });
  await putAuthority(store, { cluster, type: "host", certs: [ca.certPem] });
  const { publicKeyPem, keyPem } = await generateKeyPair();
  const host = { hostId: randomUUID(), roles: ["Auth" as const] };
  return { certPem: await issueHostCert({ ca, cluster, publicKeyPem, now, ...host }), keyPem };
}

describe("every verb on every kind, each answer written down", () => {
  for (const kind of KINDS) {
    test(`${kind}: every verb, as nobody, a user, an editor, an agent, a user of a root and a leaf`, async () => {
      const answered: string[] = [];
      for (const caller of CALLERS) {
        let letters = "";
        for (const verb of VERBS) letters += await outcome(clients.get(caller)!, verb, samples[kind]);
        answered.push(letters);
      }
      assert.deepEqual(answered, EXPECTED[kind]);
    });
  }
});

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
