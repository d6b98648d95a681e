import type { z } from "zod";
import { BadInputError, type Problem } from "./errors.ts";
import { MAX_PROBLEMS, MAX_SHOWN_LEN } from "./limits.ts";
import { unknownWord } from "./nearest.ts";
import { isKind, parseKind, RESOURCE_SCHEMAS, type Resource } from "./resource.ts";

export type Path = readonly PropertyKey[];

/** Something a schema refuses. `key`: the path ends in a key that should not be there, not in its value. */
export interface Issue {
  readonly path: Path;
  readonly message: string;
  readonly key: boolean;
}

export type Checked<T> = { readonly value: T } | { readonly issues: readonly Issue[] };

/** Applies a schema. Messages name what was expected and the nearest known key or word. */
export function check<T>(schema: z.ZodType<T>, value: unknown): Checked<T> {
  const result = schema.safeParse(value, { error: describe });
  if (result.success) return { value: result.data };
  return { issues: result.error.issues.flatMap(expand).slice(0, MAX_PROBLEMS) };
}

/** Applies a schema to a value that came without text (a request, a flag). Throws `BadInputError`. */
export function parseValue<T>(schema: z.ZodType<T>, value: unknown, file?: string): T {
  const checked = check(schema, value);
  if ("value" in checked) return checked.value;
  throw BadInputError.of(
    checked.issues.map((issue) => ({ ...(file === undefined ? {} : { file }), ...problemOf(issue) })),
  );
}

export function problemOf(issue: Issue): Problem {
  // The message names an unwanted key itself, so the path stops at its parent.
  return { path: formatPath(issue.key ? issue.path.slice(0, -1) : issue.path), message: issue.message };
}

/** Validates one resource of any kind. Throws `BadInputError`. */
export function checkResource(value: unknown): Resource {
  const kind = kindOf(value);
  if ("message" in kind) throw BadInputError.of([{ path: formatPath(kind.path), message: kind.message }]);
  return parseValue<Resource>(kind.schema, value);
}

/** The schema that a document asks for by its `kind`. An alias is not a kind in a document. */
export function kindOf(value: unknown): { schema: z.ZodType<Resource> } | Issue {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { path: [], message: "expected a resource: a map with kind, version, metadata and spec", key: false };
  }
  if (!("kind" in value)) return { path: [], message: 'missing "kind"', key: false };
  const kind = value.kind;
  if (typeof kind !== "string") return { path: ["kind"], message: "expected string", key: false };
  if (isKind(kind)) return { schema: RESOURCE_SCHEMAS[kind] as unknown as z.ZodType<Resource> };
  const meant = parseKind(kind);
  const known = Object.keys(RESOURCE_SCHEMAS);
  const guess = meant === undefined ? "" : `; did you mean "${meant}"?`;
  const message =
    meant === undefined ? unknownWord("resource kind", kind, known) : `unknown resource kind "${kind}"${guess}`;
  return { path: ["kind"], message: message.replace(/^unknown/, "unsupported"), key: false };
}

/** `spec.custom_dns_zones[0].suffix`; keys that are not plain words are quoted. */
export function formatPath(path: Path): string {
  let out = "";
  for (const step of path) {
    if (typeof step === "number") out += `[${step}]`;
    else if (/^[A-Za-z_][A-Za-z0-9_-]{0,79}$/.test(String(step))) out += out === "" ? String(step) : `.${String(step)}`;
    else out += `[${shortened(String(step))}]`;
  }
  return out;
}

/** In quotes; a key may be as long as a request. */
function shortened(key: string): string {
  return JSON.stringify(key.length > MAX_SHOWN_LEN ? `${key.slice(0, MAX_SHOWN_LEN)}…` : key);
}

const KEY_SEPARATOR = "\n";

type RawIssue = Parameters<z.core.$ZodErrorMap>[0];

/** Zod's own texts are for programmers; these are for the person who wrote the file. */
function describe(issue: RawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      if (issue.input === undefined) return "is required";
      return `expected ${TYPE_NAMES[issue.expected] ?? issue.expected}${quoted(issue.expected, issue.input)}`;
    case "unrecognized_keys": {
      const known = shapeKeys(issue.inst);
      return issue.keys.map((key) => unknownWord("key", key, known)).join(KEY_SEPARATOR);
    }
    case "invalid_value": {
      if (issue.values.length === 1) return `must be ${JSON.stringify(issue.values[0])}`;
      const words = issue.values.filter((value) => value !== ""); // as good as absent
      return typeof issue.input === "string" && words.every((value) => typeof value === "string")
        ? `${unknownWord("value", issue.input, words)} (one of ${words.join(", ")})`
        : `expected one of ${words.join(", ")}`;
    }
    case "too_small":
      if (issue.origin === "string" || issue.origin === "array") return "must not be empty";
      return `must be ${issue.minimum} or more`;
    case "too_big":
      if (issue.origin === "string") return `must be at most ${issue.maximum} characters`;
      if (issue.origin === "array") return `must have at most ${issue.maximum} entries`;
      return `must be ${issue.maximum} or less`;
    case "invalid_union":
      return (
        issue.errors.flat().find(({ code }) => code === "custom")?.message ?? "has none of the forms that it may have"
      );
    default:
      return undefined;
  }
}

/** YAML reads `5` and `true` as something else than text. */
function quoted(expected: string, input: unknown): string {
  const plain = typeof input === "number" || typeof input === "boolean";
  return expected === "string" && plain ? `: put it in quotes, as "${input}"` : "";
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  boolean: "true or false",
  object: "a map",
  record: "a map",
  array: "a list",
};

function shapeKeys(schema: unknown): string[] {
  const def = (schema as { _zod?: { def?: { shape?: object } } } | undefined)?._zod?.def;
  return Object.keys(def?.shape ?? {});
}

/** One issue per unknown key, each with the key's own place. */
function expand(issue: z.core.$ZodIssue): Issue[] {
  if (issue.code !== "unrecognized_keys") return [{ path: issue.path, message: issue.message, key: false }];
  const messages = issue.message.split(KEY_SEPARATOR);
  return issue.keys.map((key, i) => ({ path: [...issue.path, key], message: messages[i] ?? issue.message, key: true }));
}
