import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { ClusterAuthPreference } from "../../api/mod.ts";
import { createCsr, generateKeyPair, identityOf } from "../../pki/mod.ts";
import { type AuthenticatorOptions, SoftAuthenticator } from "../../testkit/mod.ts";
import { PASSWORD, type TestAuth } from "../test-auth.ts";
import { type StandingClock, startMfaAuth } from "./mfa-harness.ts";

const ORIGIN = "https://proxy.test";
type Json = Record<string, unknown>;

let auth: TestAuth;
let clock: StandingClock;
before(async () => {
  ({ auth, clock } = await startMfaAuth(["webauthn"]));
});
after(() => auth?.close());

/** A user whose only second factor is this passkey. */
async function createUser(name: string, o: Partial<AuthenticatorOptions> = {}): Promise<SoftAuthenticator> {
  const passkey = new SoftAuthenticator({ origin: ORIGIN, ...o });
  const { token } = await (await auth.admin()).call("user.invite", { name, roles: ["access"] });
  const nobody = auth.client();
  const { webauthn, otp } = await nobody.call("invite.read", { token });
  assert.equal(otp, undefined);
  await nobody.call("invite.accept", { token, password: PASSWORD, webauthn: passkey.create(webauthn!) });
  return passkey;
}

/** What the second step of a login asks. */
async function question(user: string): Promise<{ id: string; options: Json; page: string }> {
  const { mfa } = await auth.passwordStep(user);
  assert.equal(mfa?.otp, false);
  const page = /^https:\/\/proxy\.test\/web\/mfa\/([0-9a-f]{64})$/.exec(mfa?.approve_url ?? "")?.[1];
  return { id: mfa!.challenge_id, options: mfa!.webauthn!, page: page! };
}

function finish(challenge_id: string, webauthn?: Json) {
  return auth.client().call("login.finish", { mfa: { challenge_id, ...(webauthn && { webauthn }) } });
}

test("a passkey is the second factor of a login, once for each question", async () => {
  const passkey = await createUser("alice");
  const { id, options } = await question("alice");
  const answer = passkey.get(options);
  const identity = identityOf((await finish(id, answer)).cert);
  assert.ok("kind" in identity && identity.kind === "user" && identity.mfaDevice);
  await assert.rejects(finish(id, answer), /was answered/);
  const next = await question("alice");
  await assert.rejects(finish(next.id, answer), /not accepted/, "an answer to another challenge");
  const event = (await auth.events("user.login")).findLast(({ user, success }) => user === "alice" && success);
  assert.deepEqual([event?.mfa_device_type, event?.mfa_device_uuid], ["WEBAUTHN", identity.mfaDevice]);
});

test("answers from another page, another key, or with a counter that does not rise are refused", async () => {
  const passkey = await createUser("bob");
  const mallory = await createUser("mallory");
  const refused = async (make: (options: Json) => Json, reason: RegExp) => {
    const { id, options } = await question("bob");
    await assert.rejects(finish(id, make(options)), reason);
    clock.advance(21 * 60_000); // Failures are forgotten, and the proxy's heartbeat has lapsed.
    await auth.announceProxy();
  };
  await refused((options) => passkey.get(options, { origin: "https://app.proxy.test" }), /origin/);
  await refused((options) => passkey.get(options, { origin: "http://proxy.test" }), /origin/);
  await refused((options) => mallory.get({ ...options, allowCredentials: [] }), /none of yours/);
  await refused((options) => {
    const { response, ...rest } = passkey.get(options) as { response: Json };
    return { ...rest, response: { ...response, signature: Buffer.from("nonsense").toString("base64url") } };
  }, /not accepted/);
  await refused((options) => ({ ...passkey.get(options), response: {} }), /another form/);
  await refused((options) => passkey.get({ ...options, challenge: "AAAA" }), /challenge/i);

  const { id, options } = await question("bob");
  await finish(id, passkey.get(options, { count: 50 }));
  await refused((asked) => passkey.get(asked, { count: 50 }), /counter/);
  await refused((asked) => passkey.get(asked, { count: 49 }), /counter/);
});

test("an authenticator that does not count is taken; one that does not verify its user is a second factor only", async () => {
  const passkey = await createUser("carl", { countless: true, verifiesUser: false });
  for (let i = 0; i < 2; i++) {
    const { id, options } = await question("carl");
    await finish(id, passkey.get(options));
  }
  const keys = await generateKeyPair();
  const { mfa } = await auth.client().call("login.passwordless", { csr: await createCsr(keys) });
  await assert.rejects(finish(mfa.challenge_id, passkey.get(mfa.webauthn!)), /without a password/);
});

test("a login without name or password: the passkey says who it is, and that it verified them", async () => {
  const passkey = await createUser("dora");
  const csr = await createCsr(await generateKeyPair());
  const { mfa } = await auth.client().call("login.passwordless", { csr });
  assert.deepEqual([mfa.otp, mfa.webauthn?.userVerification], [false, "required"]);
  const identity = identityOf((await finish(mfa.challenge_id, passkey.get(mfa.webauthn!))).cert);
  assert.ok("user" in identity && identity.user === "dora");

  const again = await auth.client().call("login.passwordless", { csr });
  const stranger = new SoftAuthenticator({ origin: ORIGIN });
  stranger.create({ rp: { id: "proxy.test" }, user: { id: "AAAA" }, challenge: "AAAA" });
  await assert.rejects(finish(again.mfa.challenge_id, stranger.get(again.mfa.webauthn!)), /not registered here/);
  await assert.rejects(
    auth.client().call("login.finish", { mfa: { challenge_id: again.mfa.challenge_id, otp_token: "1" } }),
  );

  const admin = await auth.admin();
  const ref = { kind: "cluster_auth_preference", name: "cluster-auth-preference" } as const;
  const { resource } = await admin.call("resource.get", ref);
  const preference = resource as ClusterAuthPreference;
  const forbid = { ...preference, spec: { ...preference.spec, allow_passwordless: false } };
  await admin.call("resource.upsert", { resource: forbid });
  await assert.rejects(auth.client().call("login.passwordless", { csr }), /does not allow logins without a password/);
  await admin.call("resource.upsert", { resource: preference });
});

test("logins without a password are limited by address: each costs its sender nothing", async () => {
  const csr = await createCsr(await generateKeyPair());
  clock.advance(61_000);
  const begin = () => auth.client().call("login.passwordless", { csr });
  for (let i = 0; i < 20; i++) await begin();
  await assert.rejects(begin(), /too many logins from your address/);
  clock.advance(61_000);
  await begin();
});

test("a page confirms for the terminal: the page's address alone gives nothing, and each serves once", async () => {
  const passkey = await createUser("emil");
  const { id, page } = await question("emil");
  const nobody = auth.client();
  await assert.rejects(finish(id), /no second factor was given/);
  assert.deepEqual(await nobody.call("approval.state", { challenge_id: id }), { approved: false });
  await assert.rejects(nobody.call("approval.state", { challenge_id: page }), /never was/);

  const shown = await nobody.call("approval.read", { id: page });
  assert.deepEqual([shown.user, shown.scope], ["emil", "login"]);
  assert.match(shown.remote, /^127\.0\.0\.1/);
  const webauthn = passkey.get(shown.webauthn);
  await nobody.call("approval.confirm", { id: page, webauthn });
  await assert.rejects(nobody.call("approval.confirm", { id: page, webauthn }), /confirmed already/);
  assert.deepEqual(await nobody.call("approval.state", { challenge_id: id }), { approved: true });
  await assert.rejects(finish(page), /never was/, "who saw the page's address cannot finish the login");
  await finish(id);
  await assert.rejects(finish(id), /was answered/);
});

test("a device that was removed after it confirmed gives nothing", async () => {
  const passkey = await createUser("fay");
  const { id, page } = await question("fay");
  const { webauthn } = await auth.client().call("approval.read", { id: page });
  await auth.client().call("approval.confirm", { id: page, webauthn: passkey.get(webauthn) });
  await (await auth.admin()).call("user.reset", { name: "fay" });
  await assert.rejects(finish(id), /removed meanwhile/);
});

test("a passkey challenge of an invite serves once, and the last reading counts", async () => {
  const { token } = await (await auth.admin()).call("user.invite", { name: "gus", roles: ["access"] });
  const nobody = auth.client();
  const first = await nobody.call("invite.read", { token });
  const second = await nobody.call("invite.read", { token });
  const passkey = new SoftAuthenticator({ origin: ORIGIN });
  const accept = (webauthn: Json) => nobody.call("invite.accept", { token, password: PASSWORD, webauthn });
  await assert.rejects(accept(passkey.create(first.webauthn!)), /challenge/i);
  await assert.rejects(accept(passkey.create(second.webauthn!)), /not valid/, "the wrong answer has used it up");
  const third = await nobody.call("invite.read", { token });
  await assert.rejects(
    nobody.call("invite.accept", { token, password: PASSWORD }),
    /demands a second factor \(webauthn\)/,
  );
  await accept(passkey.create(third.webauthn!));
});
