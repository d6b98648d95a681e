import { type JsonSchema, jsonSchemaOf, type Resource, RPC, type RpcMethod } from "../../src/api/mod.ts";
import type { Mutator } from "../../src/testkit/mod.ts";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Words that mean something here, so that requests get past the first check. */
export interface Vocabulary {
  readonly names: readonly string[];
  readonly texts: readonly string[];
  readonly resources: readonly Resource[];
  /** What fields of these names mostly hold. */
  readonly fields: Readonly<Record<string, readonly string[]>>;
}

const NUMBERS = [0, 1, -1, 2, 443, 65_535, 65_536, 1.5, 2 ** 31, 2 ** 53, -(2 ** 53), 1e308];
const ODD_TEXTS = [
  "",
  " ",
  "\u0000",
  "\ud800",
  "é".repeat(300),
  "../../etc/passwd",
  "a/b",
  "__proto__",
  "constructor",
  "%00",
  "x".repeat(70_000),
  "{{internal.x}}",
  "^(a+)+$",
  "0001-01-01T00:00:00Z",
  "9999-12-31T23:59:59Z",
  "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----",
];
const ODD_KEYS = ["__proto__", "constructor", "toString", "", "kind", "x".repeat(300), "\u0000"];
/** Deeper than any schema, shallower than `JSON.stringify`'s stack. */
const NESTING = 2_000;

/** Requests made from the API's own schemas: right ones, nearly right ones, and anything else that is JSON. */
export class RequestGenerator {
  readonly #random: Mutator;
  readonly #words: Vocabulary;
  readonly #schemas: ReadonlyMap<RpcMethod, JsonSchema>;

  constructor(random: Mutator, words: Vocabulary) {
    this.#random = random;
    this.#words = words;
    const methods = Object.keys(RPC) as RpcMethod[];
    this.#schemas = new Map(methods.map((method) => [method, jsonSchemaOf(RPC[method].request)]));
  }

  /** Three in eight as the schema has it, the others with one to four changes. */
  body(method: RpcMethod): Json {
    let value = this.#request(method);
    if (this.#random.below(8) < 3) return value;
    for (let i = this.#random.below(4); i >= 0; i--) value = this.#changed(value);
    return value;
  }

  #request(method: RpcMethod): Json {
    const value = this.#from(this.#schemas.get(method)!);
    const holdsResource = typeof value === "object" && value !== null && "resource" in value;
    // A resource at random seldom passes its own rules.
    if (holdsResource && this.#random.below(4) !== 0) {
      return { ...(value as object), resource: structuredClone(this.#random.oneOf(this.#words.resources)) as Json };
    }
    return value;
  }

  #from(schema: JsonSchema): Json {
    if (schema.const !== undefined) return schema.const as Json;
    if (schema.enum !== undefined) return this.#random.oneOf(schema.enum) as Json;
    const forms = schema.anyOf ?? schema.oneOf;
    if (forms !== undefined) return this.#from(this.#random.oneOf(forms));
    switch (schema.type) {
      case "object":
        return this.#object(schema);
      case "array":
        return Array.from({ length: 1 + this.#random.below(3) }, () => this.#from(schema.items ?? {}));
      case "string":
        return this.#text();
      case "integer":
      case "number":
        return this.#random.below(3) === 0 ? this.#random.oneOf(NUMBERS) : this.#random.below(1000);
      case "boolean":
        return this.#random.below(2) === 0;
      default:
        return this.#anything();
    }
  }

  #object({ properties = {}, required = [], additionalProperties }: JsonSchema): Json {
    const chosen = Object.entries(properties).filter(([key]) => required.includes(key) || this.#random.below(4) === 0);
    const entries = chosen.map(([key, value]): [string, Json] => [key, this.#field(key, value)]);
    if (typeof additionalProperties === "object") {
      for (let i = this.#random.below(3); i > 0; i--) entries.push([this.#text(), this.#from(additionalProperties)]);
    }
    return Object.fromEntries(entries);
  }

  #field(key: string, schema: JsonSchema): Json {
    const words = Object.hasOwn(this.#words.fields, key) ? this.#words.fields[key] : undefined;
    const meant = words !== undefined && schema.type === "string" && this.#random.below(4) !== 0;
    return meant ? this.#random.oneOf(words) : this.#from(schema);
  }

  #text(): string {
    const kind = this.#random.below(8);
    if (kind === 0) return this.#random.oneOf(ODD_TEXTS);
    return this.#random.oneOf(kind < 5 ? this.#words.names : this.#words.texts);
  }

  #anything(): Json {
    switch (this.#random.below(7)) {
      case 0:
        return null;
      case 1:
        return this.#random.oneOf(NUMBERS);
      case 2:
        return this.#random.below(2) === 0;
      case 3:
        return [this.#text(), this.#random.oneOf(NUMBERS)];
      case 4:
        return { [this.#random.oneOf(ODD_KEYS)]: this.#text() };
      case 5:
        return this.#random.below(50) === 0 ? nested(NESTING) : {};
      default:
        return this.#text();
    }
  }

  /** The value with one part of it replaced, left out, doubled or given a key. */
  #changed(value: Json): Json {
    if (typeof value !== "object" || value === null || this.#random.below(6) === 0) return this.#anything();
    if (Array.isArray(value)) {
      if (value.length === 0 || this.#random.below(4) === 0) return [...value, ...value, this.#anything()];
      const at = this.#random.below(value.length);
      return value.map((item, i) => (i === at ? this.#changed(item) : item));
    }
    const keys = Object.keys(value);
    const key = keys.length === 0 ? this.#random.oneOf(ODD_KEYS) : this.#random.oneOf(keys);
    switch (this.#random.below(6)) {
      case 0: {
        const { [key]: _, ...rest } = value;
        return rest;
      }
      case 1:
        return Object.fromEntries([...Object.entries(value), [this.#random.oneOf(ODD_KEYS), this.#anything()]]);
      default:
        return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, k === key ? this.#changed(v) : v]));
    }
  }
}

function nested(depth: number): Json {
  let value: Json = [];
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}
