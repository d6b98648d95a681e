import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AccessDeniedError, NotFoundError, type User } from "../../api/mod.ts";
import { PASSWORD, type TestAuth } from "../test-auth.ts";
import { createOtpUser, type StandingClock, startMfaAuth } from "./mfa-harness.ts";

let auth: TestAuth;
let clock: StandingClock;
let code: (secret: string) => string;
before(async () => {
  ({ auth, clock, code } = await startMfaAuth(["otp"]));
});
after(() => auth?.close());

const NEW_PASSWORD = "another battery, another staple";

test("a reset takes password, devices and older links; its own link sets new ones, once", async () => {
  const admin = await auth.admin();
  const nobody = auth.client();
  const old = await createOtpUser(auth, "alice");
  const first = await admin.call("user.reset", { name: "alice" });
  assert.match(first.url, /^https:\/\/proxy\.test\/web\/reset\/[0-9a-f]{32}$/);
  assert.equal(Date.parse(first.expires) - clock.wallMs(), 8 * 3_600_000);
  await assert.rejects(auth.passwordStep("alice"), /invalid username or password/, "locked out until it is done");

  await assert.rejects(admin.call("user.reset", { name: "alice", ttl_seconds: 24 * 3600 + 1 }), /24h at most/);
  const { token, expires } = await admin.call("user.reset", { name: "alice", ttl_seconds: 24 * 3600 });
  assert.equal(Date.parse(expires) - clock.wallMs(), 24 * 3_600_000);
  await assert.rejects(nobody.call("invite.read", { token: first.token }), NotFoundError);
  const { kind, otp } = await nobody.call("invite.read", { token });
  assert.equal(kind, "reset");
  assert.notEqual(otp?.secret, old);
  const answer = { token, password: NEW_PASSWORD, otp_token: code(otp!.secret) };
  await nobody.call("invite.accept", answer);
  await assert.rejects(nobody.call("invite.accept", answer), NotFoundError);

  clock.advance(30_000);
  await assert.rejects(auth.passwordStep("alice", PASSWORD), /invalid username or password/);
  const { mfa } = await auth.passwordStep("alice", NEW_PASSWORD);
  const give = (otp_token: string) =>
    nobody.call("login.finish", { mfa: { challenge_id: mfa!.challenge_id, otp_token } });
  await assert.rejects(give(code(old)), /not right/, "the old device is no device any more");
  const again = await auth.passwordStep("alice", NEW_PASSWORD);
  const id = again.mfa!.challenge_id;
  await nobody.call("login.finish", { mfa: { challenge_id: id, otp_token: code(otp!.secret) } });

  const types = ["reset_password_token.create", "mfa.delete", "user.password_change"];
  const codes = (await auth.events(...types)).map((event) => event.code);
  assert.deepEqual(codes, ["T6000I", "T1005I", "T1007I", "T6000I", "T6000I", "T1005I"]);
});

test("a reset ends what a thief has: sessions, and logins from before it", async () => {
  const secret = await createOtpUser(auth, "bob", ["editor"]);
  clock.advance(30_000);
  const thief = await auth.loginWithOtp("bob", code(secret));
  await thief.call("resource.list", { kind: "user" });
  const admin = await auth.admin();
  const { token } = await admin.call("user.reset", { name: "bob" });
  await assert.rejects(thief.call("resource.list", { kind: "user" }), /log in again/);
  const { otp } = await auth.client().call("invite.read", { token });
  await auth.client().call("invite.accept", { token, password: PASSWORD, otp_token: code(otp!.secret) });
  await assert.rejects(thief.call("mfa.list", {}), /log in again/);
  clock.advance(30_000);
  const owner = await auth.loginWithOtp("bob", code(otp!.secret));
  await owner.call("resource.list", { kind: "user" });
});

test("a reset lets in again who locked themselves out by wrong passwords", async () => {
  await createOtpUser(auth, "carl");
  for (let i = 0; i < 5; i++) await assert.rejects(auth.passwordStep("carl", "wrong"));
  const admin = await auth.admin();
  const { token } = await admin.call("user.reset", { name: "carl" });
  const { otp } = await auth.client().call("invite.read", { token });
  await auth.client().call("invite.accept", { token, password: PASSWORD, otp_token: code(otp!.secret) });
  assert.ok((await auth.passwordStep("carl")).mfa);
  const { resource } = await admin.call("resource.get", { kind: "user", name: "carl" });
  assert.equal((resource as User).spec.status, undefined);
});

test("a reset is for who may change users, and for users that exist", async () => {
  const secret = await createOtpUser(auth, "dora");
  clock.advance(30_000);
  const dora = await auth.loginWithOtp("dora", code(secret));
  await assert.rejects(dora.call("user.reset", { name: "alice" }), AccessDeniedError);
  await assert.rejects((await auth.admin()).call("user.reset", { name: "nobody" }), NotFoundError);
});

test("the password policy says what is wrong, and uses no link up", async () => {
  const { token } = await (await auth.admin()).call("user.invite", { name: "emil", roles: ["access"] });
  const nobody = auth.client();
  const { otp } = await nobody.call("invite.read", { token });
  const otp_token = code(otp!.secret);
  const set = (password: string) => nobody.call("invite.accept", { token, password, otp_token });
  await assert.rejects(set("elevenchars"), { message: "the password is too short: at least 12 characters" });
  await assert.rejects(set("x".repeat(129)), { message: "the password is too long: at most 128 characters" });
  await assert.rejects(set(""), { message: "the password is too short: at least 12 characters" });
  await set("x".repeat(128));
});
