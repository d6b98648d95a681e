import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BadInputError, checkResource, parseDocuments, renderJson, renderYaml } from "./mod.ts";

const VNET = `kind: vnet_config
version: v1
metadata:
  name: vnet-config
spec:
  custom_dns_zones:
  - suffix: company.test
`;

function errorOf(text: string): string {
  try {
    parseDocuments(text, "f.yaml");
  } catch (error) {
    assert.ok(error instanceof BadInputError, String(error));
    return error.message;
  }
  return assert.fail("accepted");
}

test("the guide's vnet-config.yaml is read and rendered as Teleport prints it", () => {
  const resources = parseDocuments(VNET);
  assert.deepEqual(resources[0]?.spec, { custom_dns_zones: [{ suffix: "company.test" }] });
  assert.equal(
    renderYaml(resources),
    `kind: vnet_config
metadata:
  name: vnet-config
spec:
  custom_dns_zones:
    - suffix: company.test
version: v1
`,
  );
});

test("what get prints, create reads: YAML streams and JSON lists", () => {
  const role = `kind: role\nversion: v7\nmetadata: {name: dev}\nspec: {allow: {app_labels: {env: [dev, "st*"]}}}\n`;
  const resources = parseDocuments(`---\n${VNET}---\n---\n${role}`);
  assert.equal(resources.length, 2);
  assert.deepEqual(parseDocuments(renderYaml(resources)), resources);
  assert.deepEqual(parseDocuments(renderJson(resources)), resources);
});

// Golden: these texts are what a person sees.
const GOLDEN: readonly [name: string, text: string, message: string][] = [
  [
    "unknown keys, with the nearest known one, at the key",
    `${VNET}  - sufix: a.test\n  ipv4_cidr_rang: x\n`,
    `f.yaml:8:5: spec.custom_dns_zones[1].suffix: is required
f.yaml:8:5: spec.custom_dns_zones[1]: unknown key "sufix"; did you mean "suffix"?
f.yaml:9:3: spec: unknown key "ipv4_cidr_rang"; did you mean "ipv4_cidr_range"?`,
  ],
  [
    "wrong type",
    VNET.replace("company.test", "5"),
    'f.yaml:7:13: spec.custom_dns_zones[0].suffix: expected string: put it in quotes, as "5"',
  ],
  [
    "vnet_config: version, name, CIDR, suffixes",
    `kind: vnet_config
version: v2
metadata:
  name: x
spec:
  ipv4_cidr_range: 198.18.0/15
  custom_dns_zones:
  - suffix: ""
  - suffix: "*.company.test"
`,
    `f.yaml:2:10: version: version must be "v1"
f.yaml:4:9: metadata.name: name must be "vnet-config"
f.yaml:6:20: spec.ipv4_cidr_range: parsing ipv4_cidr_range: invalid CIDR address: 198.18.0/15
f.yaml:8:13: spec.custom_dns_zones[0].suffix: custom_dns_zone must have a non-empty suffix
f.yaml:9:13: spec.custom_dns_zones[1].suffix: validating custom_dns_zone.suffix "*.company.test": [a DNS zone is lower-case labels of letters, digits and '-', each starting and ending with a letter or digit, joined by '.']`,
  ],
  [
    "IPv6 range",
    VNET.replace("custom_dns_zones:\n  - suffix: company.test", 'ipv4_cidr_range: "fd00::/64"'),
    "f.yaml:6:20: spec.ipv4_cidr_range: ipv4_cidr_range must be a valid IPv4 CIDR range: fd00::/64",
  ],
  [
    "unsupported kind",
    "kind: vnet_confg\n",
    'f.yaml:1:7: kind: unsupported resource kind "vnet_confg"; did you mean "vnet_config"?',
  ],
  [
    "an alias is not a kind",
    "kind: roles\n",
    'f.yaml:1:7: kind: unsupported resource kind "roles"; did you mean "role"?',
  ],
  ["no kind", "version: v1\n", 'f.yaml:1:1: missing "kind"'],
  ["not a resource", "- 1\n", "f.yaml:1:3: [0]: expected a resource: a map with kind, version, metadata and spec"],
  ["empty input", "---\n# nothing\n", "f.yaml: no resources found, the input is empty"],
  [
    "second document bad",
    `${VNET}---\nkind: user\nversion: v2\n`,
    `f.yaml:9:1: metadata: is required\nf.yaml:9:1: spec: is required`,
  ],
  ["duplicate key", "kind: user\nkind: role\n", 'f.yaml:2:1: duplicate key "kind"'],
  ["a list without end", "kind: [user\n", 'f.yaml:2:1: a list that begins with "[" does not end with "]"'],
  ["a map without end", "kind: {user: 1\n", 'f.yaml:2:1: a map that begins with "{" does not end with "}"'],
  [
    "indented too far, told once",
    "kind: user\n  version: v2\n  metadata: 1\n",
    'f.yaml:1:7: a "key: value" inside a value: is the next line indented too far, or are quotes missing?',
  ],
  ["no colon", "kind: user\nversion\n", 'f.yaml:2:1: a key without ":"'],
  ["no colon, first", "kind\nversion: v2\n", `f.yaml:1:1: a line without ":", or the next line is indented wrongly`],
  ["tab", "\tkind: user\n", "f.yaml:1:1: Tabs are not allowed as indentation"],
  ["unknown tag", "kind: !!js/function x\n", "f.yaml:1:7: Unresolved tag: tag:yaml.org,2002:js/function"],
  ["a list as key", "? [kind]\n: user\n", "f.yaml:1:3: a key must be plain text, not a list or a map"],
  [
    "unknown anchor",
    "kind: *nothing\n",
    "f.yaml:1:1: Unresolved alias (the anchor must be set before the alias): nothing",
  ],
  [
    "role: verbs, labels, options that would not be enforced",
    `kind: role
version: v7
metadata: {name: r}
spec:
  allow:
    app_labels: {env: 5}
    rules:
    - {resources: [app], verbs: [reed]}
  options:
    max_session_ttl: 8 hours
    require_session_mfa: hardware_key
`,
    `f.yaml:6:23: spec.allow.app_labels.env: expected a string or a list of strings
f.yaml:8:34: spec.allow.rules[0].verbs[0]: expected one of list, create, read, readnosecrets, update, delete, use or *
f.yaml:10:22: spec.options.max_session_ttl: expected a duration such as 12h or 30m
f.yaml:11:26: spec.options.require_session_mfa: expected yes or no: hardware keys are not told from other devices in this version`,
  ],
  [
    "role: a regular expression that is none; a template in one is fine",
    'kind: role\nversion: v7\nmetadata: {name: r}\nspec: {allow: {app_labels: {a: "^(x$", b: "^{{internal.t}}$"}}}\n',
    "f.yaml:4:32: spec.allow.app_labels.a: invalid regular expression: missing closing ): `^(x$`",
  ],
  [
    "token roles",
    "kind: token\nversion: v2\nmetadata: {name: abc}\nspec: {roles: [app, prxy]}\n",
    'f.yaml:4:21: spec.roles[1]: unknown role "prxy"; did you mean "Proxy"?',
  ],
];

for (const [name, text, message] of GOLDEN) {
  test(`golden: ${name}`, () => assert.equal(errorOf(text), message));
}

test("anchors serve a person, not a bomb", () => {
  const role =
    "kind: role\nversion: v7\nmetadata: {name: r}\nspec: {allow: {app_labels: &l {a: b}}, deny: {app_labels: *l}}\n";
  assert.equal(parseDocuments(role).length, 1);
  let bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n";
  for (let i = 1; i < 9; i++) bomb += `a${i}: &a${i} [${`*a${i - 1},`.repeat(9)}]\n`;
  assert.equal(errorOf(bomb), "f.yaml:1:1: too many YAML aliases");
});

test("deep and large input is refused, not a crash", () => {
  assert.match(errorOf("[".repeat(50_000)), /^f\.yaml:\d+:\d+: nested too deeply$/);
  assert.match(errorOf("a: ".repeat(20_000)), /^f\.yaml:/);
  assert.equal(errorOf("x".repeat(1024 * 1024 + 1)), "f.yaml: larger than 1048576 octets");
});

test("__proto__ and constructor are ordinary unknown keys", () => {
  assert.match(errorOf(`${VNET}__proto__: {a: 1}\n`), /unknown key "__proto__"/);
  assert.match(errorOf("kind: constructor\n"), /unsupported resource kind "constructor"/);
  assert.equal(({} as { a?: number }).a, undefined);
});

test("random text never throws anything but BadInputError", () => {
  const pieces = fc.constantFrom(
    "kind: ",
    "vnet_config",
    "\n",
    "  ",
    "- ",
    "&a ",
    "*a",
    "[",
    "{",
    "}",
    ":",
    '"',
    "spec:",
    "\t",
    "|",
    "<<: ",
    "? ",
    "%",
    "---\n",
    "5",
    "!",
    "\u0000",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(pieces, { maxLength: 30 }).map((p) => p.join("")),
        fc.string({ maxLength: 60 }),
      ),
      (text) => {
        try {
          parseDocuments(text);
        } catch (error) {
          assert.ok(error instanceof BadInputError, `${JSON.stringify(text)}: ${String(error)}`);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test("without a file, messages begin with the path", () => {
  assert.throws(() => checkResource({ kind: "user", version: "v2", metadata: { name: "a/b" }, spec: { roles: [] } }), {
    code: "api.bad-input",
    message: "metadata.name: must not contain slashes, control characters or surrounding space",
  });
});

test("what a schema library says by itself is in a person's words", () => {
  const said = (kind: string, version: string, name: string, spec: object) => {
    try {
      checkResource({ kind, version, metadata: { name }, spec });
    } catch (error) {
      return (error as Error).message;
    }
    return assert.fail("taken");
  };
  assert.equal(
    said("role", "v7", "r", {
      allow: { rules: [{ resources: ["user"], verbs: [] }] },
      options: { max_connections: -1 },
    }),
    "spec.options.max_connections: must be 0 or more\nspec.allow.rules[0].verbs: must not be empty",
  );
  assert.equal(
    said("cluster_auth_preference", "v2", "cluster-auth-preference", { locking_mode: "strikt" }),
    'spec.locking_mode: unknown value "strikt"; did you mean "strict"? (one of best_effort, strict)',
  );
  assert.equal(
    said("app", "v3", "a", { uri: "tcp://x:1", rewrite: { headers: [5] } }),
    "spec.rewrite.headers[0]: has none of the forms that it may have",
  );
});
