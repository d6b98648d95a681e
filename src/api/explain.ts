import { BadInputError } from "./errors.ts";
import { type JsonSchema, resourceJsonSchema } from "./json-schema.ts";
import { nearest, unknownWord } from "./nearest.ts";
import { KIND_DESCRIPTIONS, KINDS, parseKind } from "./resource.ts";

/** One field of a resource, or a kind as a whole, for people. */
export interface Explanation {
  /** `role.spec.allow`. */
  readonly path: string;
  /** `text`, `list of text`, `map of list of text`, `yes or no`, `one of otp, webauthn`, … */
  readonly type: string;
  readonly description: string;
  readonly fields: readonly FieldExplanation[];
}

export interface FieldExplanation {
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
  readonly description: string;
}

/** Explains `KIND` or `KIND.path.to.field`; items of lists and values of maps need no step. Throws `BadInputError`. */
export function explain(path: string): Explanation {
  const [word = "", ...steps] = path.split(".");
  const kind = parseKind(word);
  if (kind === undefined) throw new BadInputError(unknownKind(word));
  let schema = { description: KIND_DESCRIPTIONS[kind], ...resourceJsonSchema(kind) };
  let at: string = kind;
  for (const step of steps) {
    const { properties } = shapeOf(schema);
    if (properties === undefined) throw new BadInputError(`${at} has no fields: it is ${typeOf(schema)}`);
    const name = step.replace(/\[\d*\]$/, "");
    const next = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (next === undefined) throw new BadInputError(`${at}: ${unknownWord("field", name, Object.keys(properties))}`);
    schema = { description: "", ...next };
    at += `.${name}`;
  }
  return { path: at, type: typeOf(schema), description: schema.description, fields: fieldsOf(schema) };
}

/** With the kind that is meant, or where to find all. */
export function unknownKind(word: string): string {
  const said = unknownWord("kind", word, KINDS);
  return nearest(word, KINDS) === undefined ? `${said} (tctl explain lists all)` : said;
}

function fieldsOf(schema: JsonSchema): FieldExplanation[] {
  const { properties = {}, required = [] } = shapeOf(schema);
  return Object.entries(properties).map(([name, field]) => ({
    name,
    type: typeOf(field),
    required: required.includes(name),
    description: field.description ?? "",
  }));
}

/** The part that has fields: the schema itself, a list's items, a map's values, or one of several forms. */
function shapeOf(schema: JsonSchema): JsonSchema {
  if (schema.properties !== undefined) return schema;
  const inner = [schema.items, objectOf(schema.additionalProperties), ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  const shapes = inner.filter((each) => each !== undefined).map(shapeOf);
  return shapes.find((shape) => shape.properties !== undefined) ?? schema;
}

function objectOf(schema: JsonSchema["additionalProperties"]): JsonSchema | undefined {
  return typeof schema === "object" ? schema : undefined;
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: "text",
  boolean: "true or false",
  integer: "whole number",
  number: "number",
  null: "nothing",
};

function typeOf(schema: JsonSchema): string {
  if (schema.const !== undefined) return String(schema.const);
  if (schema.enum !== undefined) return `one of ${schema.enum.filter((value) => value !== "").join(", ")}`;
  const forms = schema.anyOf ?? schema.oneOf;
  if (forms !== undefined) return [...new Set(forms.map(typeOf))].join(" or ");
  if (schema.type === "array") return `list of ${schema.items === undefined ? "anything" : typeOf(schema.items)}`;
  if (schema.type === "object") {
    const values = objectOf(schema.additionalProperties);
    return schema.properties === undefined && values !== undefined ? `map of ${typeOf(values)}` : "object";
  }
  return TYPE_WORDS[schema.type ?? ""] ?? "anything";
}
