import assert from "node:assert/strict";
import { test } from "node:test";
import type { App, LabelConditions, Role, RoleConditions, Traits } from "../api/mod.ts";
import { checkResource } from "../api/mod.ts";
import { mayAccessApp, presetRoles, presetRules, sessionTtl, upgradedPreset } from "./mod.ts";

function app(labels?: Record<string, string>): App {
  const metadata = labels === undefined ? { name: "db" } : { name: "db", labels };
  return { kind: "app", version: "v3", metadata, spec: { uri: "tcp://localhost:1" } };
}

function role(name: string, allow: RoleConditions = {}, deny: RoleConditions = {}, ttl?: string): Role {
  const options = ttl === undefined ? {} : { max_session_ttl: ttl };
  return { kind: "role", version: "v7", metadata: { name }, spec: { options, allow, deny } };
}

const TRAITS: Traits = {
  team: ["red", "blue"],
  star: ["*"],
  regex: ["^.*$"],
  range: ["a-z"],
  email: ["alice@example.com", "Alice B <ab@example.com>"],
  env: ["env-staging", "env-qa", "other"],
  "with-dash": ["x"],
};

const LABELS: readonly [conditions: LabelConditions, labels: Record<string, string> | undefined, allowed: boolean][] = [
  [{}, { env: "prod" }, false],
  [{}, undefined, false],
  [{ "*": "*" }, undefined, true],
  [{ "*": ["*"] }, {}, true],
  [{ "*": "prod" }, { env: "prod" }, false],
  [{ env: "prod" }, { env: "prod" }, true],
  [{ env: "prod" }, { env: "Prod" }, false],
  [{ env: "prod" }, { env: "prod2" }, false],
  [{ env: "prod" }, undefined, false],
  [{ env: "*" }, { env: "" }, true],
  [{ env: "*" }, { other: "x" }, false], // a label must exist
  [{ env: ["dev", "staging"] }, { env: "staging" }, true],
  [{ env: ["dev", "staging"] }, { env: "prod" }, false],
  [{ env: "dev", team: "a" }, { env: "dev" }, false], // AND over keys
  [{ env: "dev", team: "a" }, { env: "dev", team: "a", more: "x" }, true],
  [{ env: "st*" }, { env: "staging" }, true],
  [{ env: "*ing" }, { env: "staging" }, true],
  [{ env: "s*g*g" }, { env: "staging" }, true],
  [{ env: "aa*aa" }, { env: "aaa" }, false], // the ends may not overlap
  [{ env: "a*b*c" }, { env: "acb" }, false],
  [{ env: "a.c" }, { env: "abc" }, false], // a dot is a dot
  [{ env: "^st(aging)?$" }, { env: "staging" }, true],
  [{ env: "^st(aging)?$" }, { env: "stag" }, false],
  [{ env: "^(broken$" }, { env: "^(broken$" }, false],
  [{ team: "{{internal.team}}" }, { team: "blue" }, true],
  [{ team: "{{external.team}}-*" }, { team: "red-7" }, true],
  [{ team: '{{internal["team"]}}' }, { team: "red" }, true],
  [{ team: "{{internal.team}}" }, { team: "green" }, false],
  [{ team: "{{internal.none}}" }, { team: "" }, false],
  [{ team: "{{internal.constructor}}" }, { team: "x" }, false],
  [{ team: "{{internal.star}}" }, { team: "anything" }, false], // a trait is text, not a pattern
  [{ team: "{{internal.star}}" }, { team: "*" }, true],
  [{ team: "^{{internal.regex}}$" }, { team: "anything" }, false],
  [{ team: "^{{internal.team}}-[0-9]+$" }, { team: "red-12" }, true],
  [{ team: "^[{{internal.range}}]$" }, { team: "m" }, false],
  [{ team: "^[{{internal.range}}]$" }, { team: "-" }, true],
  [{ team: '{{internal["with-dash"]}}' }, { team: "x" }, true],
  [{ team: "{{email.local(external.email)}}" }, { team: "alice" }, true],
  [{ team: "{{email.local(external.email)}}-db" }, { team: "ab-db" }, true],
  [{ team: "{{email.local(external.email)}}" }, { team: "bob" }, false],
  [{ team: "{{email.local(internal.team)}}" }, { team: "red" }, false], // no address, no access
  [{ env: '{{regexp.replace(external.env, "^env-(staging|qa)$", "$1")}}' }, { env: "qa" }, true],
  [{ env: '{{regexp.replace(external.env, "^env-(staging|qa)$", "$1")}}' }, { env: "other" }, false], // left out
  [{ env: '^{{regexp.replace(internal.env, "^env-(.*)$", "$1")}}-[0-9]$' }, { env: "qa-1" }, true],
  [{ env: "^(?i)STAGING$" }, { env: "staging" }, true],
  [{ env: "^a|b$" }, { env: "ax" }, true], // as RE2 reads it
  [{ env: "^(a)\\1$" }, { env: "aa" }, false], // RE2 has no back references
  [{ env: "^stag(?=ing)ing$" }, { env: "staging" }, false], // nor look-around
  [{ team: "{{internal.team}}{{internal.team}}" }, { team: "redred" }, false],
];

test("labels: what one role allows", () => {
  for (const [conditions, labels, allowed] of LABELS) {
    const decision = mayAccessApp([role("r", { app_labels: conditions })], app(labels), TRAITS);
    assert.equal(decision.allowed, allowed, `${JSON.stringify(conditions)} on ${JSON.stringify(labels)}`);
  }
});

const EXPRESSIONS: readonly [
  allow: RoleConditions,
  deny: RoleConditions,
  labels: Record<string, string>,
  allowed: boolean,
][] = [
  [{ app_labels_expression: 'labels["env"] == "dev"' }, {}, { env: "dev" }, true],
  [{ app_labels_expression: 'labels["env"] == "dev"' }, {}, { env: "prod" }, false],
  [{ app_labels_expression: 'labels["env"] != "prod"' }, {}, {}, true], // an app without labels, by an expression
  [{ app_labels_expression: "" }, {}, { env: "dev" }, false],
  [{ app_labels_expression: 'contains(user.spec.traits["team"], labels["team"])' }, {}, { team: "red" }, true],
  [{ app_labels_expression: 'contains(user.spec.traits["team"], labels["team"])' }, {}, { team: "green" }, false],
  // To allow, both; to deny, either.
  [{ app_labels: { a: "1" }, app_labels_expression: 'labels["b"] == "2"' }, {}, { a: "1", b: "2" }, true],
  [{ app_labels: { a: "1" }, app_labels_expression: 'labels["b"] == "2"' }, {}, { a: "1" }, false],
  [{ app_labels: { a: "1" }, app_labels_expression: 'labels["b"] == "2"' }, {}, { b: "2" }, false],
  [{ app_labels: {}, app_labels_expression: 'labels["b"] == "2"' }, {}, { b: "2" }, true],
  [{ app_labels: { "*": "*" } }, { app_labels: { a: "1" }, app_labels_expression: "false" }, { a: "1" }, false],
  [{ app_labels: { "*": "*" } }, { app_labels: { a: "1" }, app_labels_expression: "true" }, {}, false],
  [{ app_labels: { "*": "*" } }, { app_labels: { a: "1" }, app_labels_expression: "false" }, {}, true],
  // What cannot be decided allows nothing and denies everything.
  [{ app_labels_expression: 'contains(email.local(user.spec.traits["team"]), "red")' }, {}, {}, false],
  [
    { app_labels: { "*": "*" } },
    { app_labels_expression: 'contains(email.local(user.spec.traits["team"]), "x")' },
    {},
    false,
  ],
  [{ app_labels_expression: "labels[" }, {}, {}, false],
  [{ app_labels: { "*": "*" } }, { app_labels_expression: "labels[" }, {}, false],
];

test("app_labels_expression: alone, beside app_labels, and to deny", () => {
  for (const [allow, deny, labels, allowed] of EXPRESSIONS) {
    const decision = mayAccessApp([role("r", allow, deny)], app(labels), TRAITS);
    assert.equal(decision.allowed, allowed, JSON.stringify([allow, deny, labels]));
  }
});

test("patterns that take a backtracking matcher for ever are decided at once", () => {
  const long = "a".repeat(4096);
  const started = performance.now();
  for (const pattern of ["^(a+)+b$", "^(a|a)*b$", "^((a*)*)*b$", "^(a|aa)+b$", "^(.*)(.*)(.*)(.*)(.*)b$"]) {
    const conditions = { app_labels: { env: pattern } };
    assert.equal(mayAccessApp([role("r", conditions)], app({ env: long })).allowed, false);
    const expression = { app_labels_expression: `regexp.match(labels["env"], "${pattern}")` };
    assert.equal(mayAccessApp([role("r", expression)], app({ env: long })).allowed, false);
  }
  // RegExp takes longer than the age of the universe for the first of them.
  assert.ok(performance.now() - started < 10_000);
});

test("a pattern whose repetitions multiply is refused when it is written", () => {
  for (const [pattern, message] of [
    ["^((a{100}){100}){100}$", /invalid repeat count/],
    [`^${"(a?){31}".repeat(120)}$`, /too large when its repetitions are written out/],
    [`^${"a".repeat(2000)}$`, /longer than 1000 characters/],
    ["^(?=a)$", /invalid or unsupported Perl syntax/],
    ["{{internal.a}}{{internal.b}}", /only one/],
    ["{{internal.a", /does not end/],
    ["{{interna.a}}", /column 1: unknown name "interna.a"; did you mean "internal"/],
    ["{{internal.my-trait}}", /brackets, as in/],
    ["{{labels.a}}", /unknown name/],
    ["{{contains(internal.a, internal.b)}}", /unknown function/],
  ] as const) {
    assert.throws(() => checkResource(role("r", { app_labels: { env: pattern } })), message, pattern);
  }
  const expression = 'labels["env"] == "dev" &&\n  contain(labels["a"], "b")';
  assert.throws(() => checkResource(role("r", { app_labels_expression: expression })), {
    message: 'spec.allow.app_labels_expression: line 2, column 3: unknown function "contain"; did you mean "contains"?',
  });
});

test("deny wins over every allow, and over what cannot be understood", () => {
  const all = role("all", { app_labels: { "*": "*" } });
  const noProd = role("no-prod", {}, { app_labels: { env: "prod" } });
  assert.deepEqual(mayAccessApp([all, noProd], app({ env: "prod" })), {
    allowed: false,
    reason: 'role "no-prod" denies app "db"',
  });
  assert.deepEqual(mayAccessApp([noProd, all], app({ env: "dev" })), {
    allowed: true,
    reason: 'role "all" allows app "db"',
  });
  const broken = role("broken", {}, { app_labels: { env: "^(x$" } });
  assert.equal(mayAccessApp([all, broken], app({ env: "dev" })).allowed, false);
});

test("no rule is no access, and the reason says so", () => {
  assert.deepEqual(mayAccessApp([], app()), {
    allowed: false,
    reason: 'the user has no roles, nothing allows app "db"',
  });
  assert.deepEqual(mayAccessApp([role("a"), role("b")], app()), {
    allowed: false,
    reason: 'none of the roles "a", "b" allows app "db"',
  });
});

test("session lifetime: the least of request, default and roles", () => {
  const h = 3_600_000;
  assert.equal(sessionTtl([], undefined), 12 * h);
  assert.equal(sessionTtl([], undefined, 2 * h), 2 * h);
  assert.equal(sessionTtl([], 100 * h), 30 * h);
  assert.equal(sessionTtl([role("a", {}, {}, "8h"), role("b", {}, {}, "30m")], undefined), h / 2);
  assert.equal(sessionTtl([role("a", {}, {}, "8h")], h), h);
});

test("a preset of an older version gets the rules that came since, once; an administrator's word stays", () => {
  const editor = presetRoles()[1]!;
  const without = (kind: string): Role => {
    const rules = editor.spec.allow!.rules!.map((rule) => ({
      ...rule,
      resources: rule.resources.filter((each) => each !== kind),
    }));
    return { ...editor, spec: { ...editor.spec, allow: { ...editor.spec.allow, rules } } };
  };
  const none = new Set<string>();
  const upgraded = upgradedPreset(without("lock"), none);
  assert.ok(upgraded?.spec.allow?.rules?.some(({ resources }) => resources.includes("lock")));
  assert.equal(upgradedPreset(upgraded!, none), undefined, "nothing is missing any more");
  assert.equal(upgradedPreset(editor, none), undefined);
  assert.equal(upgradedPreset(without("lock"), new Set(presetRules())), undefined, "was offered, and taken away");
  const denies: Role = {
    ...without("lock"),
    spec: { ...without("lock").spec, deny: { rules: [{ resources: ["lock"], verbs: ["create"] }] } },
  };
  assert.equal(upgradedPreset(denies, none), undefined, "denied on purpose");
  const own: Role = { ...without("lock"), metadata: { name: "editor" } };
  assert.equal(upgradedPreset(own, none), undefined, "not a preset: somebody's own role of that name");
});
