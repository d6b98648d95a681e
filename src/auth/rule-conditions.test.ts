import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AccessDeniedError, NotFoundError, type Resource, type Rule, type User } from "../api/mod.ts";
import type { RpcClient } from "../rpc/mod.ts";
import { TestAuth, take } from "./test-auth.ts";

const OWN_TEAM = 'contains(user.spec.traits["teams"], resource.metadata.labels["team"])';

let auth: TestAuth;
let admin: RpcClient;
/** May do everything to the users of the red team, and read those who are called guest. */
let lead: RpcClient;
before(async () => {
  auth = await TestAuth.start();
  admin = await auth.admin();
  await createRole("lead", [
    { resources: ["user"], verbs: ["*"], where: OWN_TEAM },
    { resources: ["user"], verbs: ["read"], where: 'has_prefix(resource.metadata.name, "guest")' },
    { resources: ["event"], verbs: ["list", "read"], where: 'contains(user.spec.traits["teams"], "red")' },
    { resources: ["cert_authority"], verbs: ["update"], where: 'system.catype() == "user"' },
  ]);
  await createRole("worker", []);
  await auth.createUser("lena", ["lead"]);
  const { resource } = await admin.call("resource.get", { kind: "user", name: "lena" });
  await admin.call("resource.update", { resource: { ...(resource as User), spec: withTeams(resource as User) } });
  for (const [name, team] of [
    ["red-1", "red"],
    ["green-1", "green"],
    ["guest-1", "green"],
  ] as const) {
    await admin.call("resource.create", { resource: user(name, team) });
  }
  lead = await auth.as("lena");
});
after(() => auth?.close());

function withTeams({ spec }: User): User["spec"] {
  return { ...spec, traits: { teams: ["red", "blue"] } };
}

async function createRole(name: string, rules: Rule[]): Promise<void> {
  const resource = { kind: "role", version: "v7", metadata: { name }, spec: { allow: { rules } } } as const;
  await admin.call("resource.create", { resource });
}

function user(name: string, team: string): User {
  return { kind: "user", version: "v2", metadata: { name, labels: { team } }, spec: { roles: ["worker"] } };
}

async function read(name: string): Promise<Resource> {
  return (await admin.call("resource.get", { kind: "user", name })).resource;
}

const ON_A_CONDITION = /your roles allow to \w+ user on a condition \(where\), which user "[\w-]+" does not meet/;

test("get and list: what the condition leaves out is as if it did not exist", async () => {
  for (const name of ["red-1", "guest-1"]) await lead.call("resource.get", { kind: "user", name });
  await assert.rejects(lead.call("resource.get", { kind: "user", name: "green-1" }), {
    name: "NotFoundError",
    message: 'user "green-1" is not found',
  });
  const { resources } = await lead.call("resource.list", { kind: "user" });
  assert.deepEqual(names(resources), ["red-1"], "a listing needs list and read; guests may only be read");
  await assert.rejects(lead.call("resource.list", { kind: "role" }), AccessDeniedError);
});

test("create: what is to be must meet the condition", async () => {
  await assert.rejects(lead.call("resource.create", { resource: user("green-2", "green") }), ON_A_CONDITION);
  await assert.rejects(lead.call("user.invite", { name: "x", roles: ["worker"] }), ON_A_CONDITION);
  await lead.call("resource.create", { resource: user("blue-1", "blue") });
  await lead.call("resource.delete", { kind: "user", name: "blue-1" });
});

test("update and upsert: what is and what is to be must meet it", async () => {
  const red = (await read("red-1")) as User;
  await assert.rejects(
    lead.call("resource.update", { resource: { ...red, metadata: { ...red.metadata, labels: { team: "green" } } } }),
    ON_A_CONDITION,
  );
  await assert.rejects(lead.call("resource.upsert", { resource: user("red-1", "green") }), ON_A_CONDITION);
  // To take another team's user is no way either.
  const green = await read("green-1");
  const taken = { ...user("green-1", "red"), metadata: { ...green.metadata, labels: { team: "red" } } };
  await assert.rejects(lead.call("resource.update", { resource: taken }), NotFoundError);
  await assert.rejects(lead.call("resource.upsert", { resource: user("green-1", "red") }), NotFoundError);
  await assert.rejects(lead.call("resource.upsert", { resource: user("guest-1", "red") }), ON_A_CONDITION);
  assert.deepEqual(await read("green-1"), green);
  await lead.call("resource.update", { resource: { ...red, spec: { ...red.spec, traits: { a: ["b"] } } } });
  await lead.call("resource.upsert", { resource: user("red-1", "blue") });
  await lead.call("resource.upsert", { resource: user("red-1", "red") });
});

test("delete and reset: what is there must meet it", async () => {
  await assert.rejects(lead.call("resource.delete", { kind: "user", name: "green-1" }), NotFoundError);
  await assert.rejects(lead.call("resource.delete", { kind: "user", name: "guest-1" }), ON_A_CONDITION);
  await assert.rejects(lead.call("user.reset", { name: "green-1" }), ON_A_CONDITION);
  await lead.call("resource.create", { resource: user("red-2", "red") });
  await lead.call("user.reset", { name: "red-2" });
  await lead.call("resource.delete", { kind: "user", name: "red-2" });
});

test("a watch tells of what comes to meet the condition, and of what ceases to as gone", async () => {
  const events = lead.watch(["user"]);
  assert.deepEqual(await take(events, 2), ["put red-1", "init"]);
  await admin.call("resource.upsert", { resource: user("green-1", "red") });
  await admin.call("resource.upsert", { resource: user("green-1", "green") });
  assert.deepEqual(await take(events, 2), ["put green-1", "delete green-1"]);
  await events.return?.(undefined);
});

test("the audit log and the authorities: conditions on the user, and on the authority's type", async () => {
  await lead.call("audit.search", { types: ["user.login"] });
  await assert.rejects(lead.call("authority.rotate", { type: "host" }), /condition \(where\), which cert_authority/);
  await assert.rejects(lead.call("authority.rotate", { type: "user", grace_seconds: 1 }), /grace period/);
});

test("a condition with a fault is refused with its place when the role is written", async () => {
  const rules: Rule[] = [{ resources: ["user"], verbs: ["read"], where: 'equals(resource.spec.role, "x")' }];
  await assert.rejects(createRole("wrong", rules), {
    name: "BadInputError",
    message: /rules\[0\]\.where: column 8: resource\.spec: unknown field "role"; did you mean "roles"\?/,
  });
});

function names(resources: readonly Resource[]): string[] {
  return resources.map(({ metadata }) => metadata.name);
}
