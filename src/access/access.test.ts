import assert from "node:assert/strict";
import { test } from "node:test";
import type { App, LabelConditions, Role, RoleConditions, Verb } from "../api/mod.ts";
import { checkResource } from "../api/mod.ts";
import { mayAccessApp, mayDo, presetRoles, type RuleKind, sessionTtl, type Traits } from "./mod.ts";

function app(labels?: Record<string, string>): App {
  const metadata = labels === undefined ? { name: "db" } : { name: "db", labels };
  return { kind: "app", version: "v3", metadata, spec: { uri: "tcp://localhost:1" } };
}

function role(name: string, allow: RoleConditions = {}, deny: RoleConditions = {}, ttl?: string): Role {
  const options = ttl === undefined ? {} : { max_session_ttl: ttl };
  return { kind: "role", version: "v7", metadata: { name }, spec: { options, allow, deny } };
}

const TRAITS: Traits = { team: ["red", "blue"], star: ["*"], regex: ["^.*$"] };

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
  [{ team: "{{email.local(internal.team)}}" }, { team: "red" }, false],
  [{ team: "{{internal.team}}{{internal.team}}" }, { team: "redred" }, false],
];

test("labels: what one role allows", () => {
  for (const [conditions, labels, allowed] of LABELS) {
    const decision = mayAccessApp([role("r", { app_labels: conditions })], app(labels), TRAITS);
    assert.equal(decision.allowed, allowed, `${JSON.stringify(conditions)} on ${JSON.stringify(labels)}`);
  }
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
  assert.equal(mayAccessApp([access], app()).allowed, true);
  assert.equal(mayAccessApp([editor], app()).allowed, false);
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

test("session lifetime: the least of request, default and roles", () => {
  const h = 3_600_000;
  assert.equal(sessionTtl([], undefined), 12 * h);
  assert.equal(sessionTtl([], undefined, 2 * h), 2 * h);
  assert.equal(sessionTtl([], 100 * h), 30 * h);
  assert.equal(sessionTtl([role("a", {}, {}, "8h"), role("b", {}, {}, "30m")], undefined), h / 2);
  assert.equal(sessionTtl([role("a", {}, {}, "8h")], h), h);
});
