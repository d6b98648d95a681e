import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { AccessDeniedError, NotFoundError, RevisionMismatchError } from "../api/mod.ts";
import { announce, appServer, role, TestAuth, take, vnetConfig } from "./test-auth.ts";

let auth: TestAuth;
before(async () => {
  auth = await TestAuth.start();
  await auth.createUser("alice", ["access"]);
  await auth.createUser("ed", ["editor"]);
});
after(() => auth?.close());

test("resources: create once, update what was read, overwrite by upsert", async () => {
  for (const client of [await auth.admin(), await auth.as("ed")]) {
    const { resource: first } = await client.call("resource.create", { resource: vnetConfig("company.test") });
    await assert.rejects(client.call("resource.create", { resource: vnetConfig("x.test") }), {
      name: "AlreadyExistsError",
      message: "vnet_config already exists",
    });
    const edited = { ...vnetConfig("two.test"), metadata: first.metadata };
    const { resource: second } = await client.call("resource.update", { resource: edited });
    assert.notEqual(second.metadata.revision, first.metadata.revision);
    await assert.rejects(client.call("resource.update", { resource: edited }), (error: Error) => {
      assert.ok(error instanceof RevisionMismatchError);
      assert.match(error.message, /concurrently.*latest state.*--force/);
      return true;
    });
    await client.call("resource.upsert", { resource: vnetConfig("three.test") });
    const { resource } = await client.call("resource.get", { kind: "vnet_config", name: "vnet-config" });
    assert.deepEqual(resource.spec, vnetConfig("three.test").spec);
    await client.call("resource.delete", { kind: "vnet_config", name: "vnet-config" });
    await assert.rejects(client.call("resource.update", { resource: edited }), NotFoundError);
  }
  const events = await auth.events("vnet.config.create", "vnet.config.update", "vnet.config.delete");
  const mine = events.filter((event) => event.user === "ed").map((event) => `${event.code} ${event.success}`);
  assert.deepEqual(mine, [
    "TVNET001I true",
    "TVNET001I false",
    "TVNET002I true",
    "TVNET002I false",
    "TVNET001I true",
    "TVNET003I true",
    "TVNET002I false",
  ]);
});

test("rules: who may not is told so, and changes nothing", async () => {
  const alice = await auth.as("alice");
  await assert.rejects(
    alice.call("resource.create", { resource: vnetConfig("a.test") }),
    /do not allow to create vnet_config/,
  );
  await assert.rejects(alice.call("user.invite", { name: "x", roles: ["editor"] }), AccessDeniedError);
  for (const kind of ["user", "role", "token"] as const) {
    await assert.rejects(alice.call("resource.list", { kind }), AccessDeniedError);
    await assert.rejects(alice.watch([kind]).next(), AccessDeniedError);
  }
  const ed = await auth.as("ed");
  await assert.rejects(ed.call("resource.get", { kind: "user", name: "é".repeat(1000) }), /name is too long/);
  await assert.rejects(ed.call("resource.get", { kind: "user", name: "\ud800" }), /not Unicode/);
  await assert.rejects(ed.call("audit.search", {}), AccessDeniedError);
  await assert.rejects(ed.call("resource.upsert", { resource: appServer(randomUUID(), "own") }), AccessDeniedError);
  await assert.rejects(ed.call("resource.delete", { kind: "role", name: "access" }), /in use by user "alice"/);
  const events = await alice.call("audit.search", { types: ["user.login"] });
  assert.ok(events.events.length > 0, "the access preset reads events, as in Teleport");
});

test("a listing is narrowed by labels, words and a condition, page by page, within what the caller may reach", async () => {
  const admin = await auth.admin();
  const agent = await auth.host("App");
  await admin.call("resource.create", { resource: role("only-dev", { env: "dev" }) });
  await auth.createUser("dan", ["only-dev"]);
  for (let i = 0; i < 6; i++) {
    const labels = { env: i % 2 === 0 ? "dev" : "prod", tier: i < 3 ? "db" : "web" };
    await announce(agent, appServer(agent.hostId, `app-${i}`, { labels, addr: `a${i}.company.test` }));
  }
  const names = async (client: Awaited<ReturnType<typeof auth.admin>>, filter: object) => {
    const found: string[] = [];
    for (let start: string | undefined; ; ) {
      const request = { kind: "app_server" as const, limit: 2, ...(start !== undefined && { start }), ...filter };
      const page = await client.call("resource.list", request);
      found.push(...page.resources.map((each) => each.metadata.name.split(".").at(-1)!));
      if (page.next === undefined) return found.join(" ");
      start = page.next;
    }
  };
  const dan = await auth.login("dan");
  for (const [filter, all, dans] of [
    [{}, "app-0 app-1 app-2 app-3 app-4 app-5", "app-0 app-2 app-4"],
    [{ labels: { env: "dev", tier: "db" } }, "app-0 app-2", "app-0 app-2"],
    [{ labels: { env: "prod" } }, "app-1 app-3 app-5", ""],
    [{ search: ["COMPANY", "a3"] }, "app-3", ""],
    [{ query: 'labels["tier"] == "web" && name != "app-5"' }, "app-3 app-4", "app-4"],
    [{ query: 'resource.spec.public_addr == "a1.company.test" || name == "app-0"' }, "app-0 app-1", "app-0"],
    [{ labels: { env: "dev" }, search: ["app"], query: '!hasPrefix(name, "app-4")' }, "app-0 app-2", "app-0 app-2"],
  ] as const) {
    assert.deepEqual([await names(admin, filter), await names(dan, filter)], [all, dans], JSON.stringify(filter));
  }
  await assert.rejects(names(dan, { query: 'label["x"] == "y"' }), {
    message: 'query, column 1: unknown name "label.x"; did you mean "labels"?',
  });
});

test("a watcher that comes back with its revisions is told the difference, and nothing of what it may not see", async () => {
  const admin = await auth.admin();
  const agent = await auth.host("App");
  const id = agent.hostId;
  await admin.call("resource.create", { resource: role("green-only", { team: "green" }) });
  await auth.createUser("gil", ["green-only"]);
  const gil = await auth.login("gil");
  const put = (name: string, team: string, labels = {}) =>
    announce(agent, appServer(id, name, { labels: { team, ...labels } }));
  for (const name of ["same", "changes", "goes", "leaves"]) await put(name, "green");
  await put("hidden", "violet");
  const known: Record<string, string> = { [`${id}.hidden`]: "x", [`${id}.never`]: "x" };
  for await (const event of gil.watch(["app_server"])) {
    if (event.type === "init") break;
    if (event.type === "put") known[event.resource.metadata.name] = event.resource.metadata.revision!;
  }
  await put("changes", "green", { new: "x" });
  await put("comes", "green");
  await put("leaves", "violet");
  await agent.call("resource.delete", { kind: "app_server", name: `${id}.goes` });

  const resumed = gil.watch(["app_server"], undefined, { app_server: known });
  const told = (await take(resumed, 7)).map((each) => each.replace(`${id}.`, ""));
  // Whether "hidden" exists shows in nothing: it is told to be gone as "never" is.
  assert.deepEqual(told.slice(0, 6).sort(), [
    "delete goes",
    "delete hidden",
    "delete leaves",
    "delete never",
    "put changes",
    "put comes",
  ]);
  assert.equal(told[6], "init");
  await put("same", "green", { later: "x" });
  assert.deepEqual(await take(resumed, 1), [`put ${id}.same`]);
  await resumed.return(undefined);
});

test("a user lists and follows only apps within reach, and a change of role moves the border", async () => {
  const admin = await auth.admin();
  const agent = await auth.host("App");
  const id = agent.hostId;
  await admin.call("resource.create", { resource: role("blue-only", { team: "blue" }) });
  await auth.createUser("bea", ["blue-only"]);
  await announce(agent, appServer(id, "blue", { labels: { team: "blue" } }));
  await announce(agent, appServer(id, "red", { labels: { team: "red" } }));
  const bea = await auth.login("bea");
  const { resources } = await bea.call("resource.list", { kind: "app_server" });
  assert.deepEqual(
    resources.map((r) => r.metadata.name),
    [`${id}.blue`],
  );
  const hidden = { kind: "app_server", name: `${id}.red` } as const;
  await assert.rejects(bea.call("resource.get", hidden), NotFoundError);

  const events = bea.watch(["app_server", "vnet_config"]);
  assert.deepEqual(await take(events, 2), [`put ${id}.blue`, "init"]);
  await announce(agent, appServer(id, "red", { labels: { team: "red", new: "x" } }));
  await announce(agent, appServer(id, "azure", { labels: { team: "blue" } }));
  await announce(agent, appServer(id, "blue", { labels: { team: "red" } }));
  assert.deepEqual(await take(events, 2), [`put ${id}.azure`, `delete ${id}.blue`]);
  await admin.call("resource.upsert", { resource: role("blue-only", { team: "red" }) });
  assert.deepEqual((await take(events, 3)).sort(), [`delete ${id}.azure`, `put ${id}.blue`, `put ${id}.red`]);
  await admin.call("resource.delete", { kind: "user", name: "bea" });
  await assert.rejects(events.next(), /does not exist any more/);
});
