import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AlreadyExistsError, LimitExceededError, MfaRequiredError, NotFoundError } from "../../api/mod.ts";
import type { RpcClient } from "../../rpc/mod.ts";
import { SoftAuthenticator } from "../../testkit/mod.ts";
import { MAX_CHALLENGES_PER_USER } from "../limits.ts";
import type { TestAuth } from "../test-auth.ts";
import { createOtpUser, type StandingClock, startMfaAuth } from "./mfa-harness.ts";

let auth: TestAuth;
let clock: StandingClock;
let code: (secret: string) => string;
before(async () => {
  ({ auth, clock, code } = await startMfaAuth(["otp", "webauthn"]));
});
after(() => auth?.close());

/** A logged-in user, and a proof by their first device, good once each. */
async function user(name: string) {
  const secret = await createOtpUser(auth, name);
  clock.advance(30_000);
  const client = await auth.loginWithOtp(name, code(secret));
  const proof = async () => {
    clock.advance(30_000);
    const { challenge_id } = await client.call("mfa.challenge", { scope: "manage_devices" });
    return { challenge_id, otp_token: code(secret) };
  };
  return { client, proof };
}

async function namesOf(client: RpcClient): Promise<string[]> {
  return (await client.call("mfa.list", {})).devices.map(({ name, type }) => `${name} ${type}`);
}

test("a device lets another one in, and out again; both are on record", async () => {
  const { client, proof } = await user("alice");
  const wanted = { type: "TOTP", name: "tablet", passwordless: false } as const;
  await assert.rejects(client.call("mfa.register", wanted), MfaRequiredError);
  const begun = await client.call("mfa.register", { ...wanted, mfa: await proof() });
  const add = (otp_token: string) => client.call("mfa.add", { registration_id: begun.registration_id, otp_token });
  await assert.rejects(add("000000"), /not right/);
  await add(code(begun.otp!.secret));
  await assert.rejects(add(code(begun.otp!.secret)), NotFoundError);
  assert.deepEqual(await namesOf(client), ["otp TOTP", "tablet TOTP"]);
  await assert.rejects(client.call("mfa.register", { ...wanted, mfa: await proof() }), AlreadyExistsError);

  await client.call("mfa.delete", { name: "tablet", mfa: await proof() });
  await assert.rejects(client.call("mfa.delete", { name: "tablet", mfa: await proof() }), NotFoundError);
  const events = (await auth.events("mfa.add", "mfa.delete")).filter((event) => event.mfa_device_name === "tablet");
  assert.deepEqual(
    events.map((event) => [event.code, event.user, event.mfa_device_type]),
    [
      ["T1006I", "alice", "TOTP"],
      ["T1007I", "alice", "TOTP"],
    ],
  );
});

test("the last device that the cluster accepts stays", async () => {
  const { client, proof } = await user("bob");
  await assert.rejects(client.call("mfa.delete", { name: "otp", mfa: await proof() }), /the last MFA device/);
  assert.deepEqual(await namesOf(client), ["otp TOTP"]);
});

test("a proof is for one purpose and one user", async () => {
  const carl = await user("carl");
  const dora = await user("dora");
  const session = await carl.client.call("mfa.challenge", { scope: "user_session", app: "db" });
  const wanted = { type: "TOTP", name: "x", passwordless: false } as const;
  const wrongScope = { challenge_id: session.challenge_id, otp_token: "000000" };
  await assert.rejects(carl.client.call("mfa.register", { ...wanted, mfa: wrongScope }), /not for this request/);
  await assert.rejects(
    dora.client.call("mfa.register", { ...wanted, mfa: await carl.proof() }),
    /not for this request/,
  );
});

test("a passkey that a terminal has begun is made on a page; the page's address serves once and lapses", async () => {
  const { client, proof } = await user("emil");
  const nobody = auth.client();
  const begin = async (name: string, passwordless: boolean) => {
    const mfa = await proof();
    const begun = await client.call("mfa.register", { type: "WEBAUTHN", name, passwordless, mfa });
    const id = /^https:\/\/proxy\.test\/web\/mfa\/add\/([0-9a-f]{64})$/.exec(begun.register_url ?? "")![1]!;
    return { id, registration_id: begun.registration_id };
  };
  const { id, registration_id } = await begin("laptop", true);
  const shown = await nobody.call("registration.read", { id });
  assert.deepEqual([shown.user, shown.name], ["emil", "laptop"]);
  const passkey = new SoftAuthenticator({ origin: "https://proxy.test" });
  assert.deepEqual(await client.call("registration.state", { registration_id }), { added: false });
  const webauthn = passkey.create(shown.webauthn);
  await nobody.call("registration.confirm", { id, webauthn });
  await assert.rejects(nobody.call("registration.confirm", { id, webauthn }), NotFoundError);
  assert.deepEqual(await client.call("registration.state", { registration_id }), { added: true });
  assert.deepEqual(await namesOf(client), ["otp TOTP", "laptop WEBAUTHN"]);

  const other = await begin("other", false);
  const { webauthn: options } = await nobody.call("registration.read", { id: other.id });
  const excluded = (options.excludeCredentials as { id: string }[]).map((each) => each.id);
  assert.deepEqual(excluded, [webauthn.id], "the same authenticator is not taken twice");
  const copied = passkey.create(options, Buffer.from(String(webauthn.id), "base64url"));
  await assert.rejects(nobody.call("registration.confirm", { id: other.id, webauthn: copied }), /registered already/);
  const last = await begin("last", false);
  clock.advance(5 * 60_000);
  await assert.rejects(nobody.call("registration.read", { id: last.id }), NotFoundError);
  await auth.announceProxy(); // Its heartbeat has lapsed.
});

test("a passkey that does not verify its user is not one for logins without a password", async () => {
  const { client, proof } = await user("fay");
  const mfa = await proof();
  const begun = await client.call("mfa.register", { type: "WEBAUTHN", name: "key", passwordless: true, mfa });
  const id = begun.register_url!.split("/").at(-1)!;
  const { webauthn } = await auth.client().call("registration.read", { id });
  assert.equal((webauthn.authenticatorSelection as { residentKey: string }).residentKey, "required");
  const key = new SoftAuthenticator({ origin: "https://proxy.test", verifiesUser: false });
  await assert.rejects(auth.client().call("registration.confirm", { id, webauthn: key.create(webauthn) }), /verif/);
});

test("questions for a second factor are limited: each is on record", async () => {
  const { client } = await user("gus");
  clock.advance(61_000);
  const ask = () => client.call("mfa.challenge", { scope: "manage_devices" });
  for (let i = 0; i < MAX_CHALLENGES_PER_USER; i++) await ask();
  await assert.rejects(ask(), LimitExceededError);
  clock.advance(61_000);
  await ask();
});
