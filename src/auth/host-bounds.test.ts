import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { AccessDeniedError, type Token } from "../api/mod.ts";
import { createCsr, generateKeyPair } from "../pki/mod.ts";
import { announce, appServer, newCsr, TestAuth } from "./test-auth.ts";

let auth: TestAuth;
before(async () => {
  auth = await TestAuth.start();
});
after(() => auth?.close());

async function makeToken(name: string, spec: Partial<Token["spec"]>): Promise<void> {
  const admin = await auth.admin();
  await admin.call("resource.create", {
    resource: { kind: "token", version: "v2", metadata: { name }, spec: { roles: ["App"], ...spec } },
  });
}

async function join(token: string, hostId: string = randomUUID()) {
  const keys = await generateKeyPair();
  const request = { token, roles: ["App" as const], host_id: hostId, node_name: "n" };
  const { cert } = await auth.client().call("host.join", { ...request, csr: await createCsr(keys) });
  return Object.assign(auth.client({ certPem: cert, keyPem: keys.keyPem }), { hostId });
}

test("a host announces what its token allows, and a refusal is audited", async () => {
  await makeToken("bounded", { app_names: ["db-*", "cache"], public_addrs: ["*.db.test"] });
  const host = await join("bounded");
  await announce(host, appServer(host.hostId, "db-1", { addr: "one.db.test" }));
  await announce(host, appServer(host.hostId, "cache", { addr: "cache.db.test" }));
  for (const [name, addr, message] of [
    ["vault", "vault.db.test", /does not allow the app name "vault"/],
    ["cache-2", "c.db.test", /app name/],
    ["db-2", "payroll.company.test", /does not allow the public_addr "payroll.company.test"/],
    ["db-2", "db.test", /public_addr/],
  ] as const) {
    await assert.rejects(announce(host, appServer(host.hostId, name, { addr })), (error: Error) => {
      assert.ok(error instanceof AccessDeniedError);
      assert.match(error.message, message);
      return true;
    });
  }
  const refused = (await auth.events("app.create")).filter((event) => event.success === false);
  assert.deepEqual(
    refused.map((event) => event.name),
    ["vault", "cache-2", "db-2", "db-2"],
  );
});

test("by a bounded token nobody becomes a host that is there already", async () => {
  await makeToken("wide", {});
  const host = await join("wide");
  await assert.rejects(join("bounded", host.hostId), /has joined by another token/);
  await join("wide", host.hostId);
  const local = await auth.host("App");
  await announce(local, appServer(local.hostId, "local"));
  await assert.rejects(join("bounded", local.hostId), /has joined by another token/);
  const again = randomUUID();
  await join("bounded", again);
  await join("bounded", again);
});

test("a token is good for as many hosts as it says, and two at once do not share the last use", async () => {
  await makeToken("few", { max_uses: 3 });
  await join("few");
  await assert.rejects(
    auth.client().call("host.join", {
      token: "few",
      roles: ["Proxy"],
      host_id: randomUUID(),
      node_name: "n",
      csr: await newCsr(),
    }),
    /does not allow the role/,
  );
  const both = await Promise.allSettled([1, 2, 3].map(() => join("few")));
  assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "fulfilled", "rejected"]);
  await assert.rejects(join("few"), /used 3 times/);
  const { resource } = await (await auth.admin()).call("resource.get", { kind: "token", name: "few" });
  assert.equal((resource as Token).status?.uses, 3);
  const failed = (await auth.events("instance.join")).filter((event) => /used 3 times/.test(String(event.error)));
  assert.deepEqual(
    failed.map((event) => event.code),
    ["TJ002E", "TJ002E"],
  );
});

test("a locked host does not join again", async () => {
  const host = await join("wide");
  await (await auth.admin()).call("resource.create", {
    resource: { kind: "lock", version: "v2", metadata: { name: "l" }, spec: { target: { server_id: host.hostId } } },
  });
  await assert.rejects(join("wide", host.hostId), /lock targeting ServerID/);
});
