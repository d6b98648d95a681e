import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isMalformed } from "../../base/mod.ts";
import { FILTER_LANGUAGE, type FilterSubject } from "./filter-language.ts";
import { LABEL_LANGUAGE, type LabelSubject } from "./label-language.ts";
import { parseExpression } from "./parser.ts";

const SUBJECT: LabelSubject = {
  labels: {
    env: "staging",
    team: "security",
    owner: "dev-123",
    "project-name": "skunkworks",
    "project-label": "secret",
  },
  traits: {
    "allow-env": ["dev", "staging"],
    groups: ["devs", "team-security"],
    projects: ["parser", "skunkworks", "secret"],
    logins: ["test", "Name"],
    email: ["dev-123@example.com"],
    "full email": ["Dev <dev-123@example.com>"],
    plain: ["no address"],
  },
};

/** Each documented function and operator, by example. `undefined`: cannot be decided. */
const LABEL_CASES: readonly [expression: string, expected: boolean | undefined][] = [
  ['labels["env"] == "staging"', true],
  ["labels[`env`] == `staging`", true],
  ['labels.env == "staging"', true],
  ['labels["env"] == "Staging"', false],
  ['labels["env"] != "production"', true],
  ['labels["none"] == ""', true],
  ['labels["constructor"] == ""', true],
  ['"staging" == labels["env"]', true],
  ["true && !false", true],
  ['labels["env"] == "staging" && labels["team"] == "dev"', false],
  ['labels["env"] == "x" || labels["team"] == "security"', true],
  // && binds closer than ||.
  ['labels["env"] == "staging" || labels["env"] == "x" && labels["team"] == "x"', true],
  ['(labels["env"] == "staging" || labels["env"] == "x") && labels["team"] == "x"', false],
  ['!(labels["env"] == "x")', true],
  ['!!(labels["env"] == "staging")', true],
  ['contains(user.spec.traits["allow-env"], labels["env"])', true],
  ['contains(user.spec.traits["allow-env"], "production")', false],
  ['contains(user.spec.traits["none"], "")', false],
  ['contains(labels["env"], "staging")', true],
  ['contains_any(user.spec.traits["projects"], labels_matching("project-*"))', true],
  ['contains_any(user.spec.traits["none"], labels_matching("project-*"))', false],
  ['contains_any(user.spec.traits["projects"], labels_matching("none-*"))', false],
  ['contains_all(user.spec.traits["projects"], labels_matching("project-*"))', true],
  ['contains_all(user.spec.traits["groups"], labels_matching("project-*"))', false],
  ['contains_all(user.spec.traits["projects"], labels_matching("none-*"))', false],
  ['contains(labels_matching("^project-(name|label)$"), "skunkworks")', true],
  ['contains(labels_matching("project"), "skunkworks")', false],
  ['contains(labels_matching("*"), "dev-123")', true],
  ['regexp.match(labels["owner"], "dev-*") && !regexp.match(labels["env"], "^prod.*$")', true],
  ['regexp.match(labels["owner"], "dev-\\d+$")', true],
  ['regexp.match(user.spec.traits["groups"], "^team-")', true],
  ['regexp.match(user.spec.traits["groups"], "^x")', false],
  ['contains(regexp.replace(user.spec.traits["groups"], "^team-(.*)$", "$1"), labels["team"])', true],
  ['contains(regexp.replace(labels["env"], "^(.*)$", "env-$1"), "env-staging")', true],
  ['contains(regexp.replace(labels["env"], "^(?P<all>.*)$", "$all!"), "staging!")', true],
  ['contains(regexp.replace(user.spec.traits["groups"], "^team-(.*)$", "$1"), "devs")', false],
  ['contains(email.local(user.spec.traits["email"]), labels["owner"])', true],
  ['contains(email.local(user.spec.traits["full email"]), labels["owner"])', true],
  ['contains(email.local(user.spec.traits["plain"]), "no")', undefined],
  ['labels["env"] == "staging" || contains(email.local(user.spec.traits["plain"]), "no")', true],
  ['contains(strings.lower(user.spec.traits["logins"]), "name")', true],
  ['contains(strings.upper(labels["env"]), "STAGING")', true],
  ['// a remark\ncontains(\n  user.spec.traits["allow-env"],\n  "dev", // and a comma\n)', true],
];

test("label expressions: every documented function and operator", () => {
  for (const [source, expected] of LABEL_CASES) {
    const expression = parseExpression(source, LABEL_LANGUAGE);
    assert.ok(!isMalformed(expression), `${source}: ${JSON.stringify(expression)}`);
    const result = expression.test(SUBJECT);
    assert.equal(typeof result === "boolean" ? result : undefined, expected, source);
  }
});

const FAULTS: readonly [expression: string, at: number, message: RegExp][] = [
  ["", 0, /expected a name, a text or a bracket and not the end/],
  ['labels["env"]', 0, /expected a condition, as in .* and not a text/],
  ['labels["env" == "x"', 13, /expected "\]" and not "=="/],
  ["labels[env]", 7, /expected a text, as in labels\["env"\]/],
  ["labels", 0, /expected labels\["KEY"\]/],
  ['contains(labels, "env")', 9, /expected labels\["KEY"\]/],
  ['user.spec.trait["x"] == "y"', 0, /unknown name/],
  ['user.spec.traits["x"] == "y"', 22, /a list is not compared by ==.*contains/],
  ['contain(labels["a"], "b")', 0, /unknown function "contain"; did you mean "contains"\?/],
  ['contains(labels["a"])', 0, /contains takes 2 arguments, not 1/],
  ['contains("a", user.spec.traits["b"])', 14, /contains expects a text here/],
  ['contains(true, "x")', 9, /contains expects a list or a text here/],
  ['labels["a"] == "b" labels["c"] == "d"', 19, /expected && or \|\| and not "labels"/],
  ['labels["a"] = "b"', 12, /unexpected "="; did you mean "=="\?/],
  ["labels[\"a\"] == 'b'", 15, /double quotes/],
  ['labels["a"] == "b', 15, /does not end/],
  ['labels["a"] == 5', 15, /numbers are written as text/],
  ['regexp.match(labels["a"], "(x")', 26, /invalid regular expression: missing closing \)/],
  ['regexp.match(labels["a"], "(a)\\1")', 26, /invalid escape sequence/],
  ['regexp.match(labels["a"], "(?=a)")', 26, /invalid or unsupported Perl syntax/],
  ['regexp.match(labels["a"], labels["b"])', 26, /expects a regular expression in quotes/],
  ['labels_matching(labels["b"])', 16, /expects a pattern in quotes/],
  ["!".repeat(100), 33, /nested too deeply/],
  [`${"(".repeat(100)}true${")".repeat(100)}`, 33, /nested too deeply/],
  [Array(400).fill("true").join("&&"), 0, /more than 500 parts/],
  [" ".repeat(9000), 0, /longer than 8192/],
  ['exists(labels["a"])', 0, /unknown function "exists"/],
];

test("label expressions: what is wrong is said, and where", () => {
  for (const [source, at, message] of FAULTS) {
    const fault = parseExpression(source, LABEL_LANGUAGE);
    assert.ok(isMalformed(fault), source);
    assert.match(fault.malformed, message, source);
    assert.equal((fault as { at: number }).at, at, source);
  }
});

const RESOURCE: FilterSubject = {
  name: "jenkins",
  labels: { env: "prod", hosts: "a,b,c", empty: "" },
  resource: {
    metadata: { description: "Build Server" },
    spec: { public_addr: "ci.example.com", uri: "tcp://10.0.0.1:1", roles: ["access", "dev"], max: 3, on: true },
  },
};

test("filters: every documented function, and fields of the document", () => {
  for (const [source, expected] of [
    ['name == "jenkins"', true],
    ['labels["env"] == "prod" && labels["hosts"] != ""', true],
    ['equals(labels["env"], "prod")', true],
    ['exists(labels["empty"]) && !exists(labels["none"])', true],
    ['search("BUILD", "jenk", "prod")', true],
    ['search("build", "none")', false],
    ['hasPrefix(name, "jen")', true],
    ['contains(split(labels["hosts"], ","), "b")', true],
    ['resource.spec.public_addr == "ci.example.com" || name == "x"', true],
    ['resource.spec["public_addr"] == "ci.example.com"', true],
    ['resource.spec.max == "3" && resource.spec.on == "true"', true],
    ['contains(resource.spec.roles, "dev")', true],
    ["exists(resource.spec.roles) && !exists(resource.spec.none.deeper)", true],
    ['resource.constructor.name == ""', true],
    ['resource.spec.roles == ""', true],
  ] as const) {
    const expression = parseExpression(source, FILTER_LANGUAGE);
    assert.ok(!isMalformed(expression), `${source}: ${JSON.stringify(expression)}`);
    assert.equal(expression.test(RESOURCE), expected, source);
  }
});

test("text that grows by replacing ends at the bound", () => {
  const twice = (inner: string) => `regexp.replace(${inner}, "a", "aaaa")`;
  let source = 'labels["a"]';
  for (let i = 0; i < 20; i++) source = twice(source);
  const expression = parseExpression(`contains(${source}, "x")`, LABEL_LANGUAGE);
  assert.ok(!isMalformed(expression));
  assert.deepEqual(expression.test({ labels: { a: "a" }, traits: {} }), {
    malformed: "a text of more than 4096 characters",
  });
  const many = parseExpression('contains(strings.upper(user.spec.traits["t"]), "x")', LABEL_LANGUAGE);
  assert.ok(!isMalformed(many));
  const values = Array.from({ length: 300 }, (_, i) => String(i));
  assert.ok(isMalformed(Object(many.test({ labels: {}, traits: { t: values } }))));
});

test("any text is an expression or a fault with a place in it, and neither throws", () => {
  const words = [..."()[].,!", "&&", "||", "==", "!=", " ", '"a"', "`b`", "labels", "contains", "true", "regexp.match"];
  const word = fc.oneof(fc.constantFrom(...words), fc.constantFrom('labels["env"]', 'contains("a", "a")'), fc.string());
  fc.assert(
    fc.property(fc.array(word, { maxLength: 30 }), (parts) => {
      const source = parts.join("");
      const expression = parseExpression(source, LABEL_LANGUAGE);
      if (!isMalformed(expression)) expression.test(SUBJECT);
      else assert.ok("at" in expression && Number(expression.at) >= 0 && Number(expression.at) <= source.length);
    }),
    { numRuns: 2000 },
  );
});
