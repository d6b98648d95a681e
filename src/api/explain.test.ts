import assert from "node:assert/strict";
import { test } from "node:test";
import { explain, type JsonSchema, KINDS, openApi, RPC, resourceJsonSchema, resourcesJsonSchema } from "./mod.ts";

test("every field of every kind says what it is", () => {
  const silent: string[] = [];
  const walk = (path: string, schema: JsonSchema): void => {
    for (const [name, field] of Object.entries(schema.properties ?? {})) {
      if (!field.description && name !== "spec") silent.push(`${path}.${name}`);
      walk(`${path}.${name}`, field);
    }
    const { items, additionalProperties: values } = schema;
    const inner = [items, typeof values === "object" ? values : undefined, ...(schema.anyOf ?? [])];
    for (const each of inner) if (each !== undefined) walk(path, each);
  };
  for (const kind of KINDS) walk(kind, resourceJsonSchema(kind));
  assert.deepEqual(silent, []);
});

test("explain: a kind, a field, through lists and maps, and what is not there", () => {
  assert.deepEqual(explain("roles.spec.allow.app_labels_expression").type, "text");
  assert.deepEqual(explain("role.spec.allow.rules[].verbs").path, "role.spec.allow.rules.verbs");
  assert.match(explain("app.spec.dynamic_labels.period").description, /How often/);
  assert.deepEqual(explain("lock.spec.target.user").type, "text");
  assert.equal(explain("cap.spec.locking_mode").type, "one of best_effort, strict");
  assert.deepEqual(
    explain("vnet_config.spec").fields.map(({ name, type, required }) => [name, type, required]),
    [
      ["ipv4_cidr_range", "text", false],
      ["custom_dns_zones", "list of object", false],
    ],
  );
  for (const [path, message] of [
    ["usr", /unknown kind "usr"; did you mean "user"\?/],
    ["role.spec.alow", /role\.spec: unknown field "alow"; did you mean "allow"\?/],
    ["user.spec.roles.x", /user\.spec\.roles has no fields: it is list of text/],
    ["user.spec.constructor", /unknown field/],
  ] as const) {
    assert.throws(() => explain(path), message);
  }
});

test("the published descriptions hold every kind and every call, and no reference leads nowhere", () => {
  const api = openApi() as { paths: object; components: { schemas: Record<string, object> } };
  assert.deepEqual(
    Object.keys(api.paths),
    Object.keys(RPC).map((method) => `/v1/${method}`),
  );
  const schema = resourcesJsonSchema() as { $defs: Record<string, object> };
  assert.deepEqual(Object.keys(schema.$defs), [...KINDS]);
  for (const [document, known] of [
    [api, Object.keys(api.components.schemas).map((id) => `#/components/schemas/${id}`)],
    [schema, Object.keys(schema.$defs).map((id) => `#/$defs/${id}`)],
  ] as const) {
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]!);
    assert.ok(refs.length > 0);
    assert.deepEqual(
      refs.filter((ref) => !known.includes(ref)),
      [],
    );
  }
});
