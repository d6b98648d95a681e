import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createCsr, generateKeyPair, identityOf } from "../pki/mod.ts";
import { newCsr, TestAuth } from "./test-auth.ts";

const HOUR = 3_600;

let auth: TestAuth;
before(async () => {
  auth = await TestAuth.start();
  await auth.createUser("ci", ["access"]);
  await auth.createUser("ed", ["editor"]);
});
after(() => auth?.close());

test("the administrator signs for a user, for longer than a login may last; nobody else does", async () => {
  const admin = await auth.admin();
  const keys = await generateKeyPair();
  const signed = await admin.call("user.sign", { user: "ci", csr: await createCsr(keys), ttl_seconds: 100 * HOUR });
  const identity = identityOf(signed.cert);
  assert.ok("kind" in identity && identity.kind === "user");
  assert.deepEqual([identity.user, identity.roles], ["ci", ["access"]]);
  assert.ok(Math.abs(identity.expires - Date.now() - 100 * HOUR * 1000) < 5_000);
  await auth.client({ certPem: signed.cert, keyPem: keys.keyPem }).call("resource.list", { kind: "app_server" });
  const ed = await auth.as("ed");
  await assert.rejects(ed.call("user.sign", { user: "ci", csr: await newCsr() }), {
    code: "api.access-denied",
    message: "user.sign is not for a user: it is done on the host of the Auth Service, where tctl needs no login",
  });
  const [event] = (await auth.events("cert.create")).filter((each) => each.name === "ci");
  assert.deepEqual([event?.code, event?.user, event?.expires], ["TC000I", "admin", signed.expires]);
});

test("12 hours unless asked for another; at most a year; not for who is locked or not there", async () => {
  const admin = await auth.admin();
  const { expires } = await admin.call("user.sign", { user: "ci", csr: await newCsr() });
  assert.ok(Math.abs(Date.parse(expires) - Date.now() - 12 * HOUR * 1000) < 5_000);
  const sign = async (user: string, ttl: number) =>
    admin.call("user.sign", { user, csr: await newCsr(), ttl_seconds: ttl });
  await assert.rejects(sign("ci", 366 * 24 * HOUR), /longest life/);
  await assert.rejects(sign("nobody", HOUR), /not found/);
  const keys = await generateKeyPair();
  const { cert } = await admin.call("user.sign", { user: "ci", csr: await createCsr(keys) });
  const job = auth.client({ certPem: cert, keyPem: keys.keyPem });
  await job.call("cluster.ping", {});
  const target = { user: "ci" };
  await admin.call("resource.create", {
    resource: { kind: "lock", version: "v2", metadata: { name: "l" }, spec: { target } },
  });
  await assert.rejects(sign("ci", HOUR), /in force/);
  await assert.rejects(job.call("cluster.ping", {}), /in force/, "a lock ends a stolen file");
});
