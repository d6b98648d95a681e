import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type ClusterAuthPreference, MfaRequiredError, type Role, type User } from "../../api/mod.ts";
import { identityOf } from "../../pki/mod.ts";
import type { RpcClient } from "../../rpc/mod.ts";
import { announce, appServer, newCsr, type TestAuth } from "../test-auth.ts";
import { createOtpUser, type StandingClock, startMfaAuth } from "./mfa-harness.ts";

let auth: TestAuth;
let clock: StandingClock;
let code: (secret: string) => string;
before(async () => {
  ({ auth, clock, code } = await startMfaAuth(["otp"]));
  const agent = await auth.host("App");
  for (const name of ["db", "cache"]) await announce(agent, appServer(agent.hostId, name, { labels: { env: "prod" } }));
  const admin = await auth.admin();
  await admin.call("resource.create", { resource: strictRole });
});
after(() => auth?.close());

const strictRole: Role = {
  kind: "role",
  version: "v7",
  metadata: { name: "strict" },
  spec: { options: { require_session_mfa: true }, allow: { app_labels: { "*": "*" } } },
};

async function user(name: string, roles: string[]) {
  const secret = await createOtpUser(auth, name, roles);
  clock.advance(30_000);
  const client = await auth.loginWithOtp(name, code(secret));
  const proof = async (app: string) => {
    clock.advance(30_000);
    const { challenge_id } = await client.call("mfa.challenge", { scope: "user_session", app });
    return { challenge_id, otp_token: code(secret) };
  };
  return { client, proof, secret };
}

async function open(client: RpcClient, app: string, mfa?: { challenge_id: string; otp_token: string }) {
  return client.call("app_session.create", { app, csr: await newCsr(), ...(mfa && { mfa }) });
}

test("a role asks for a second factor once for each session; renewals keep it", async () => {
  const { client, proof } = await user("alice", ["strict"]);
  await assert.rejects(open(client, "db"), (error) => error instanceof MfaRequiredError && /"db"/.test(error.message));
  const session = await open(client, "db", await proof("db"));
  const device = (await client.call("mfa.list", {})).devices[0]!.id;
  const first = identityOf(session.cert);
  assert.ok("route" in first && first.mfaDevice === device);
  const { session_id } = session;
  const renewed = identityOf((await client.call("app_session.renew", { session_id, csr: await newCsr() })).cert);
  assert.ok("route" in renewed && renewed.mfaDevice === device, "no second question");
  const event = (await auth.events("app.session.start")).findLast((each) => each.sid === session_id);
  assert.equal(event?.with_mfa, device);
});

test("a proof opens one session of one app, and what opens nothing asks for none", async () => {
  const { client, proof } = await user("bob", ["strict"]);
  const mfa = await proof("db");
  await assert.rejects(open(client, "cache", mfa), /not for this request/);
  await open(client, "db", mfa);
  await assert.rejects(open(client, "db", mfa), /was answered/);
  await assert.rejects(open(client, "nothing"), /not found/, "who may not reach it is not asked");
});

test("the cluster may ask for it too; sessions from before end", async () => {
  const { client, proof } = await user("carl", ["access"]);
  const before = await open(client, "db");
  const admin = await auth.admin();
  const ref = { kind: "cluster_auth_preference", name: "cluster-auth-preference" } as const;
  const preference = (await admin.call("resource.get", ref)).resource as ClusterAuthPreference;
  const strict = { ...preference, spec: { ...preference.spec, require_session_mfa: true } };
  await admin.call("resource.upsert", { resource: strict });
  const renewal = client.call("app_session.renew", { session_id: before.session_id, csr: await newCsr() });
  await assert.rejects(renewal, /has ended/);
  await assert.rejects(open(client, "db"), MfaRequiredError);
  const { session_id } = await open(client, "db", await proof("db"));
  await admin.call("resource.upsert", { resource: strict });
  await client.call("app_session.agents", { session_id });
  await admin.call("resource.upsert", { resource: preference });
  await open(client, "cache");
});

test("a role that asks for it ends sessions from before, and no others", async () => {
  const { client, proof } = await user("dora", ["access"]);
  const plain = await open(client, "db");
  const shown = await open(client, "cache", await proof("cache"));
  const admin = await auth.admin();
  const { resource } = await admin.call("resource.get", { kind: "user", name: "dora" });
  const dora = resource as User;
  await admin.call("resource.update", { resource: { ...dora, spec: { ...dora.spec, roles: ["access", "strict"] } } });
  await assert.rejects(client.call("app_session.agents", { session_id: plain.session_id }), /has ended/);
  await client.call("app_session.agents", { session_id: shown.session_id });
});

test("a lock on an MFA device stops what it was shown for", async () => {
  const { client, secret } = await user("emil", ["access"]);
  const { devices } = await client.call("mfa.list", {});
  const target = { mfa_device: devices[0]!.id };
  const admin = await auth.admin();
  await admin.call("resource.create", {
    resource: { kind: "lock", version: "v2", metadata: { name: "l" }, spec: { target } },
  });
  await assert.rejects(client.call("mfa.list", {}), /lock targeting MFADevice/);
  clock.advance(30_000);
  await assert.rejects(auth.loginWithOtp("emil", code(secret)), /lock targeting MFADevice/);
  await admin.call("resource.delete", { kind: "lock", name: "l" });
  await client.call("mfa.list", {});
});
