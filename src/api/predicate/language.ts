import type { Malformed } from "../../base/mod.ts";
import { MAX_EVALUATION_LEN, MAX_EXPANSION } from "../limits.ts";
import type { Matcher } from "./pattern.ts";
import type { Regex } from "./regex.ts";

/** `any`: a field of a resource, a text or a list as it comes. */
export type Type = "boolean" | "text" | "list" | "any";
export type Value = boolean | string | readonly string[];

/** What a function takes: a `list` may also be one text; an `entry` is `labels["env"]` itself, not its value. */
export type Param = "text" | "list" | "entry" | "regex" | "pattern";
export type Argument = Value | Regex | Matcher;

/** The names that one kind of expression knows. `S`: what an expression is tried on. */
export interface Language<S> {
  readonly fields: Readonly<Record<string, FieldSpec<S>>>;
  readonly functions: Readonly<Record<string, FunctionSpec<S>>>;
}

export interface FieldSpec<S> {
  /** Of a field with keys: perhaps by what they are; `Malformed` where there is no such field. */
  readonly type: Type | ((keys: readonly string[]) => Type | Malformed);
  /** `one`: read as `labels["env"]`; `path`: as `resource.spec.uri`. */
  readonly keyed?: "one" | "path";
  /** `undefined` where there is none: then the field is an empty text or list. */
  readonly get: (subject: S, keys: readonly string[]) => Value | undefined;
}

export interface FunctionSpec<S> {
  readonly params: readonly Param[];
  /** The last parameter may come more than once. */
  readonly variadic?: true;
  readonly type: Type;
  readonly run: (args: Arguments, evaluation: Evaluation<S>) => Value;
}

/** The arguments of one call; the parser has seen to their kinds. */
export class Arguments {
  readonly #values: readonly Argument[];

  constructor(values: readonly Argument[]) {
    this.#values = values;
  }

  text(i: number): string {
    return asText(this.#values[i] ?? "");
  }

  /** From the `i`-th on. */
  texts(i = 0): string[] {
    return this.#values.slice(i).map(asText);
  }

  list(i: number): readonly string[] {
    return asList(this.#values[i] ?? []);
  }

  regex(i: number): Regex {
    return this.#values[i] as Regex;
  }

  pattern(i: number): Matcher {
    return this.#values[i] as Matcher;
  }

  isThere(i: number): boolean {
    return this.#values[i] === true;
  }
}

/** The expression cannot be decided: its texts grew too long, a trait is no e-mail address. Does not leave this folder. */
export class Undecidable extends Error {}

/** One run of an expression over one subject, with what it may still spend. */
export class Evaluation<S> {
  readonly subject: S;
  #left = MAX_EVALUATION_LEN;

  constructor(subject: S) {
    this.subject = subject;
  }

  /** Pays for looking at, or making, these texts. Throws `Undecidable`. */
  spend(values: readonly string[]): readonly string[] {
    if (values.length > MAX_EXPANSION) throw new Undecidable(`a list has more than ${MAX_EXPANSION} values`);
    for (const value of values) this.#left -= value.length + 1;
    if (this.#left < 0) throw new Undecidable(`more than ${MAX_EVALUATION_LEN} characters to look at`);
    return values;
  }
}

export function asText(value: Argument): string {
  return typeof value === "string" ? value : "";
}

export function asList(value: Argument): readonly string[] {
  if (typeof value === "string") return [value];
  return Array.isArray(value) ? (value as readonly string[]) : [];
}
