import assert from "node:assert/strict";
import { test } from "node:test";
import type { App, Resource, Role, RoleConditions, Rule, RuleKind, Traits, User, Verb } from "../api/mod.ts";
import { checkResource } from "../api/mod.ts";
import { mayAccessApp, presetRoles, ruleAccess } from "./mod.ts";

const TRAITS: Traits = { teams: ["red", "blue"], email: ["alice@example.com"], plain: ["no address"] };

function mayDo(roles: readonly Role[], verb: Verb, kind: RuleKind, resource?: Resource) {
  return ruleAccess({ user: "alice", roles, traits: TRAITS }, verb, kind)(resource);
}

function role(name: string, allow: RoleConditions = {}, deny: RoleConditions = {}): Role {
  return { kind: "role", version: "v7", metadata: { name }, spec: { options: {}, allow, deny } };
}

function rule(where: string, resources = ["user"], verbs: Rule["verbs"] = ["*"]): RoleConditions {
  return { rules: [{ resources, verbs, where }] };
}

function user(name: string, labels: Record<string, string> = {}, roles = ["access"]): User {
  return { kind: "user", version: "v2", metadata: { name, labels }, spec: { roles } };
}

test("preset roles: what they may do", () => {
  const [access, editor, auditor] = presetRoles() as [Role, Role, Role];
  const cases: [Role[], Verb, RuleKind, boolean][] = [
    [[], "read", "vnet_config", true],
    [[], "read", "proxy", true],
    [[], "readnosecrets", "cert_authority", true],
    [[], "read", "cert_authority", true],
    [[], "update", "cert_authority", false],
    [[], "read", "user", false],
    [[access], "create", "vnet_config", false],
    [[access], "read", "event", true],
    [[access], "read", "token", false],
    [[editor], "create", "vnet_config", true],
    [[editor], "delete", "role", true],
    [[editor], "readnosecrets", "user", true],
    [[editor], "read", "event", false],
    [[auditor], "read", "event", true],
    [[auditor], "update", "user", false],
  ];
  for (const [roles, verb, kind, allowed] of cases) {
    assert.equal(mayDo(roles, verb, kind).allowed, allowed, `${roles[0]?.metadata.name} ${verb} ${kind}`);
  }
  const app: App = { kind: "app", version: "v3", metadata: { name: "db" }, spec: { uri: "tcp://localhost:1" } };
  assert.equal(mayAccessApp([access], app).allowed, true);
  assert.equal(mayAccessApp([editor], app).allowed, false);
  for (const preset of presetRoles()) assert.deepEqual(checkResource(preset), preset);
});

test("rules: wildcards, and deny over the implicit role", () => {
  const any = role("any", { rules: [{ resources: ["*"], verbs: ["*"] }] });
  assert.equal(mayDo([any], "delete", "user").allowed, true);
  const blind = role("blind", {}, { rules: [{ resources: ["vnet_config"], verbs: ["readnosecrets"] }] });
  assert.deepEqual(mayDo([any, blind], "read", "vnet_config"), {
    allowed: false,
    reason: 'role "blind" denies read on vnet_config',
  });
  assert.equal(mayDo([role("none")], "update", "user").reason, 'none of the roles "none" allows update on user');
});

const BOB = user("bob", { team: "red", owner: "alice" }, ["access", "dev"]);
const EVE = user("eve", { team: "green" }, ["editor"]);
const NOBODY_S = user("n");

/**
 * What one condition says of bob, eve and a user without labels, as `+` and
 * `-`, and before any of them is known: whether there may be one to allow it
 * to, and whether all are denied.
 */
const CONDITIONS: readonly [where: string, holds: string, maybe: string][] = [
  ["", "+++", "+d"],
  ["true", "+++", "+d"],
  ["false", "---", "-."],
  ['equals(resource.metadata.name, "bob")', "+--", "+."],
  ['resource.metadata.name != "bob"', "-++", "+."],
  ['has_prefix(resource.metadata.name, "e")', "-+-", "+."],
  ['contains(user.spec.traits["teams"], resource.metadata.labels["team"])', "+--", "+."],
  ['!contains(user.spec.traits["teams"], resource.metadata.labels["team"])', "-++", "+."],
  ['equals(resource.metadata.labels["owner"], user.metadata.name)', "+--", "+."],
  ['equals(resource.metadata.labels["none"], "")', "+++", "+."],
  ['contains(user.spec.roles, "r")', "+++", "+d"],
  ['contains(user.spec.roles, "admin")', "---", "-."],
  // What is about the user alone is decided before the resource is known.
  ['contains(user.spec.traits["teams"], "green") && resource.metadata.name == "bob"', "---", "-."],
  ['contains(user.spec.traits["teams"], "red") || resource.metadata.name == "bob"', "+++", "+d"],
  ['resource.metadata.name == "bob" || contains(user.spec.traits["teams"], "red")', "+++", "+."],
  ['is_subset(resource.spec.roles, "access", "dev")', "+-+", "+."],
  ['contains_all(set("access", "dev", "x"), resource.spec.roles)', "+-+", "+."],
  ['contains_any(resource.spec.roles, set("editor"))', "-+-", "+."],
  ['all_equal(resource.spec.roles, "access")', "--+", "+."],
  ['all_end_with(resource.spec.roles, "tor")', "-+-", "+."],
  ['regexp.match(resource.metadata.labels["team"], "^re")', "+--", "+."],
  ['equals(system.catype(), "")', "+++", "+."],
  // Cannot be decided: an address without a host.
  ['contains(email.local(user.spec.traits["plain"]), resource.metadata.name)', "???", "+."],
];

test("where: what one rule allows and denies, each resource by itself and before it is known", () => {
  for (const [where, holds, maybe] of CONDITIONS) {
    checkResource(role("r", rule(where)));
    const [allowing, denying] = [role("r", rule(where)), role("r", {}, rule(where))];
    const all = role("all", { rules: [{ resources: ["*"], verbs: ["*"] }] });
    for (const [i, each] of [BOB, EVE, NOBODY_S].entries()) {
      const message = `${where} of ${each.metadata.name}`;
      assert.equal(mayDo([allowing], "read", "user", each).allowed, holds[i] === "+", `allow ${message}`);
      assert.equal(mayDo([all, denying], "read", "user", each).allowed, holds[i] === "-", `deny ${message}`);
    }
    assert.equal(mayDo([allowing], "read", "user").allowed, maybe[0] === "+", `allow ${where}`);
    assert.equal(mayDo([all, denying], "read", "user").allowed, maybe[1] !== "d", `deny ${where}`);
  }
});

test("where: other kinds and verbs are not meant, any rule is enough, and deny wins", () => {
  const reds = role("reds", rule('resource.metadata.labels["team"] == "red"', ["user"], ["read"]));
  const notBob = role("not-bob", {}, rule('resource.metadata.name == "bob"'));
  const eves = role("eves", rule('resource.metadata.name == "eve"'));
  assert.equal(mayDo([reds], "delete", "user", BOB).allowed, false);
  assert.equal(mayDo([reds], "read", "role", BOB).allowed, false);
  assert.equal(mayDo([reds], "readnosecrets", "user", BOB).allowed, true);
  assert.equal(mayDo([reds, eves], "read", "user", EVE).allowed, true);
  assert.deepEqual(mayDo([reds, notBob], "read", "user", BOB), {
    allowed: false,
    reason: 'role "not-bob" denies read on user',
  });
  assert.equal(
    mayDo([reds], "read", "user", EVE).reason,
    'none of the roles "reds" allows read on user: its where does not hold',
  );
});

test("where: of events only what is about the user counts", () => {
  const auditor = role("a", rule('contains(user.spec.traits["teams"], "red")', ["event"]));
  const named = role("n", rule('resource.metadata.name != "x"', ["*"]));
  assert.equal(mayDo([auditor], "list", "event").allowed, true);
  assert.equal(mayDo([named], "list", "event").allowed, true, "an event's name is empty, hence not x");
  assert.equal(mayDo([role("n", rule('resource.metadata.name == "x"', ["*"]))], "list", "event").allowed, false);
});

test("where: the authority's type, as Teleport's system.catype()", () => {
  const ca = (type: "host" | "user"): Resource => ({
    kind: "cert_authority",
    version: "v2",
    metadata: { name: `${type}/root` },
    spec: { type, cluster_name: "root", active_keys: [], additional_trusted_keys: [] },
  });
  const rotator = role("r", rule('system.catype() == "host"', ["cert_authority"], ["update"]));
  assert.equal(mayDo([rotator], "update", "cert_authority", ca("host")).allowed, true);
  assert.equal(mayDo([rotator], "update", "cert_authority", ca("user")).allowed, false);
});

const FAULTS: readonly [where: string, resources: string[], message: string][] = [
  [
    'equals(resource.metadata.nmae, "x")',
    ["user"],
    'column 8: resource.metadata: unknown field "nmae"; did you mean "name"?',
  ],
  ['equals(resource.spec.uri, "x")', ["user", "role"], 'column 8: resource.spec: unknown field "uri"'],
  ['equals(resource.spec, "x")', ["app"], "column 8: resource.spec has no text of its own; name one of its fields"],
  [
    'equals(resource.spec.tcp_ports, "x")',
    ["app"],
    "column 8: resource.spec.tcp_ports has no text of its own; name one of its fields",
  ],
  ['equals(resource.spec.roles, "x")', ["user"], "column 8: equals expects a text here"],
  ['equals(resource.metadata.name, "x")', ["event"], "column 8: an event of the audit log is no resource"],
  [
    'equals(user.metadata.nam, "x")',
    ["user"],
    'column 8: unknown name "user.metadata.nam"; did you mean "user.metadata.name"?',
  ],
  ['contains(session.participants, "x")', ["user"], 'column 10: unknown name "session.participants"'],
  ['equal(user.metadata.name, "x")', ["user"], 'column 1: unknown function "equal"; did you mean "equals"?'],
  ["user.metadata.name", ["user"], 'column 1: expected a condition, as in contains(LIST, "text"), and not a text'],
  [
    'equals(user.metadata.name, "x") &&\n  resource.name == "y"',
    ["user"],
    'line 2, column 3: resource: unknown field "name"',
  ],
];

test("where: what is wrong is said when the role is written, and where", () => {
  for (const [where, resources, message] of FAULTS) {
    const wrong = role("r", {}, rule(where, resources));
    assert.throws(() => checkResource(wrong), { message: `spec.deny.rules[0].where: ${message}` }, where);
  }
});

test("where: kinds of Teleport's other services are taken at their word", () => {
  for (const [where, resources] of [
    ["contains(session.participants, user.metadata.name)", ["session"]],
    ["contains(ssh_session.participants, user.metadata.name)", ["ssh_session"]],
    ['equals(resource.spec.hostname, "x")', ["node"]],
    ['equals(resource.spec.uri, "x")', ["user", "app"]],
    ['equals(resource.spec.type, "x")', ["*"]],
  ] as const) {
    checkResource(role("r", rule(where, [...resources])));
  }
});

test("where: a stored condition that is not understood any more allows nothing and denies everything", () => {
  const all = role("all", { rules: [{ resources: ["*"], verbs: ["*"] }] });
  for (const resource of [undefined, BOB]) {
    assert.equal(mayDo([role("r", rule("resource.gone == "))], "read", "user", resource).allowed, false);
    assert.equal(mayDo([all, role("r", {}, rule("resource.gone =="))], "read", "user", resource).allowed, false);
  }
});
