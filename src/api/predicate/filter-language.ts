import type { FunctionSpec, Language, Value } from "./language.ts";

/** A resource as `--query` and `--search` see it. */
export interface FilterSubject {
  /** The document; of an app_server, the app that it serves. */
  readonly resource: unknown;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The same text; written `==` as well. */
export const EQUALS: FunctionSpec<unknown> = {
  params: ["text", "text"],
  type: "boolean",
  run: (args) => args.text(0) === args.text(1),
};

/** Teleport's language of `--query`. */
export const FILTER_LANGUAGE: Language<FilterSubject> = {
  fields: {
    name: { type: "text", get: ({ name }) => name },
    labels: {
      type: "text",
      keyed: "one",
      get: ({ labels }, [key = ""]) => (Object.hasOwn(labels, key) ? labels[key] : undefined),
    },
    resource: { type: "any", keyed: "path", get: ({ resource }, path) => valueAt(resource, path) },
  },
  functions: {
    equals: EQUALS,
    exists: { params: ["entry"], type: "boolean", run: (args) => args.isThere(0) },
    contains: { params: ["list", "text"], type: "boolean", run: (args) => args.list(0).includes(args.text(1)) },
    hasPrefix: { params: ["text", "text"], type: "boolean", run: (args) => args.text(0).startsWith(args.text(1)) },
    split: {
      params: ["text", "text"],
      type: "list",
      run: (args, evaluation) => evaluation.spend(args.text(0).split(args.text(1))),
    },
    search: {
      params: ["text"],
      variadic: true,
      type: "boolean",
      run: (args, { subject }) => matchesSearch(subject, args.texts()),
    },
  },
};

/** Whether every word occurs in the name, the description, a label or a public field, whatever its case. */
export function matchesSearch({ name, labels, resource }: FilterSubject, words: readonly string[]): boolean {
  const fields = [
    name,
    ...Object.entries(labels).flat(),
    ...SEARCHED.map((path) => valueAt(resource, path)).filter((value) => typeof value === "string"),
  ].map((field) => field.toLowerCase());
  return words.every((word) => fields.some((field) => field.includes(word.toLowerCase())));
}

const SEARCHED = [
  ["metadata", "description"],
  ["spec", "public_addr"],
  ["spec", "uri"],
  ["spec", "hostname"],
];

/** Texts as they are, numbers and truths as text, lists of texts; everything else is not there. */
export function valueAt(document: unknown, path: readonly string[]): Value | undefined {
  let value = document;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return value.filter((item): item is string => typeof item === "string");
  return undefined;
}
