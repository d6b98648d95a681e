import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  AccessDeniedError,
  type ClusterAuthPreference,
  LimitExceededError,
  renderYaml,
  UnauthenticatedError,
} from "../../api/mod.ts";
import { identityOf } from "../../pki/mod.ts";
import { PASSWORD, type TestAuth } from "../test-auth.ts";
import { createOtpUser, type StandingClock, startMfaAuth } from "./mfa-harness.ts";

let auth: TestAuth;
let clock: StandingClock;
let code: (secret: string) => string;
let secret: string;
before(async () => {
  ({ auth, clock, code } = await startMfaAuth(["otp"]));
  secret = await createOtpUser(auth, "alice");
  clock.advance(30_000);
});
after(() => auth?.close());

async function finish(challenge_id: string, otp_token: string) {
  return auth.client().call("login.finish", { mfa: { challenge_id, otp_token } });
}

test("a password and a one-time password are a login; each code and each question serve once", async () => {
  const { login, mfa } = await auth.passwordStep("alice");
  assert.equal(login, undefined, "the password alone gives nothing");
  assert.deepEqual([mfa?.otp, mfa?.webauthn, mfa?.approve_url], [true, undefined, undefined]);
  const answer = await finish(mfa!.challenge_id, code(secret));
  const identity = identityOf(answer.cert);
  assert.ok("kind" in identity && identity.kind === "user" && identity.user === "alice");

  await assert.rejects(finish(mfa!.challenge_id, code(secret)), /was answered, has expired, or never was/);
  const second = await auth.passwordStep("alice");
  await assert.rejects(finish(second.mfa!.challenge_id, code(secret)), /was used before/, "the same code");
  clock.advance(30_000);
  await assert.rejects(
    finish(second.mfa!.challenge_id, code(secret)),
    /answered/,
    "the question is used up, and not on record again",
  );
  const third = await auth.passwordStep("alice");
  await finish(third.mfa!.challenge_id, code(secret));

  const logins = (await auth.events("user.login")).filter(({ user }) => user === "alice");
  assert.deepEqual(
    logins.map((event) => event.code),
    ["T1000I", "T1000W", "T1000I"],
  );
  assert.deepEqual([logins[0]!.mfa_device_name, logins[0]!.mfa_device_type], ["otp", "TOTP"]);
  const checks = await auth.events("mfa_auth_challenge.validate");
  assert.deepEqual(
    checks.map((event) => event.code),
    ["T1016I", "T1016W", "T1016I"],
  );
  assert.equal((await auth.events("mfa_auth_challenge.create"))[0]!.code, "T1015I");
});

test("of two that give the same code at once one is let in", async () => {
  clock.advance(60_000);
  const questions = await Promise.all([auth.passwordStep("alice"), auth.passwordStep("alice")]);
  const both = await Promise.allSettled(questions.map(({ mfa }) => finish(mfa!.challenge_id, code(secret))));
  assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
});

test("a question is forgotten after five minutes", async () => {
  const { mfa } = await auth.passwordStep("alice");
  clock.advance(5 * 60_000);
  await assert.rejects(finish(mfa!.challenge_id, code(secret)), UnauthenticatedError);
});

test("wrong codes count as wrong passwords do, and a right password between does not forget them", async () => {
  const own = await createOtpUser(auth, "bob");
  clock.advance(30_000);
  for (let i = 0; i < 5; i++) {
    const { mfa } = await auth.passwordStep("bob");
    await assert.rejects(finish(mfa!.challenge_id, "000000"), UnauthenticatedError);
  }
  await assert.rejects(auth.passwordStep("bob"), LimitExceededError);
  clock.advance(20 * 60_000);
  const { mfa } = await auth.passwordStep("bob");
  await finish(mfa!.challenge_id, code(own));
});

test("no secret is shown by get, in a list, or in the audit log, and none is stored in a user", async () => {
  const admin = await auth.admin();
  const { resource } = await admin.call("resource.get", { kind: "user", name: "alice" });
  const listed = await admin.call("resource.list", { kind: "user" });
  const shown = renderYaml([resource, ...listed.resources]) + JSON.stringify(await auth.audit.search({}));
  assert.ok(!shown.includes(secret));
});

test("an invite demands what the cluster demands, and a wrong code uses nothing up", async () => {
  const admin = await auth.admin();
  const nobody = auth.client();
  const { token } = await admin.call("user.invite", { name: "carl", roles: ["access"] });
  const { otp, webauthn, mfa_optional } = await nobody.call("invite.read", { token });
  assert.deepEqual([webauthn, mfa_optional], [undefined, false]);
  assert.equal((await nobody.call("invite.read", { token })).otp?.secret, otp?.secret, "a reload shows the same");
  await assert.rejects(nobody.call("invite.accept", { token, password: PASSWORD }), /demands a second factor \(otp\)/);
  const wrong = { token, password: PASSWORD, otp_token: "000000" };
  await assert.rejects(nobody.call("invite.accept", wrong), /the one-time password is not right/);
  await nobody.call("invite.accept", { token, password: PASSWORD, otp_token: code(otp!.secret) });
  const added = (await auth.events("mfa.add")).find(({ user }) => user === "carl");
  assert.deepEqual([added?.code, added?.mfa_device_type], ["T1006I", "TOTP"]);
  const { mfa } = await auth.passwordStep("carl");
  await assert.rejects(finish(mfa!.challenge_id, code(otp!.secret)), /used before/, "not the code of the enrolment");
});

test("a user without a device is told where to get one", async () => {
  const admin = await auth.admin();
  const preference = (
    await admin.call("resource.get", { kind: "cluster_auth_preference", name: "cluster-auth-preference" })
  ).resource as ClusterAuthPreference;
  const set = (spec: Partial<ClusterAuthPreference["spec"]>) => {
    const { second_factors: _, ...rest } = preference.spec;
    return admin.call("resource.upsert", { resource: { ...preference, spec: { ...rest, ...spec } } });
  };
  await set({ second_factors: [] });
  await auth.createUser("dora", ["access"]);
  assert.ok((await auth.passwordStep("dora")).login, "off: the password alone");
  assert.ok((await auth.passwordStep("alice")).login, "also for who has a device");
  await set({ second_factor: "optional" });
  assert.ok((await auth.passwordStep("dora")).login, "optional: who has none is not asked");
  assert.ok((await auth.passwordStep("alice")).mfa, "who has one is");
  await set({ second_factor: "webauthn" });
  await assert.rejects(auth.passwordStep("alice"), /no second factor that this cluster accepts \(webauthn\)/);
  await set({ second_factor: "on" });
  assert.ok((await auth.passwordStep("alice")).mfa?.otp);
  await set({});
  assert.ok((await auth.passwordStep("alice")).mfa, "absent: one-time passwords");
  await assert.rejects(auth.passwordStep("dora"), AccessDeniedError);
});
