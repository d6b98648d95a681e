import { isMalformed, type Malformed, malformed } from "../../base/mod.ts";
import { MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_LEN, MAX_EXPRESSION_NODES } from "../limits.ts";
import { unknownWord } from "../nearest.ts";
import {
  type Argument,
  Arguments,
  asList,
  asText,
  Evaluation,
  type FunctionSpec,
  type Language,
  type Param,
  type Type,
  Undecidable,
  type Value,
} from "./language.ts";
import { type Fault, fault, type Token, tokensOf } from "./lexer.ts";
import { parsePattern } from "./pattern.ts";
import { parseRegex } from "./regex.ts";

/** A condition that was understood. */
export interface Expression<S> {
  /** Whether it holds. `Malformed` where that cannot be said, with the reason. */
  test(subject: S): boolean | Malformed;
}

export interface ListExpression<S> {
  values(subject: S): readonly string[] | Malformed;
}

/** Reads a condition. Names, kinds of values and patterns are checked here, once, so that `test` meets no surprise. */
export function parseExpression<S>(source: string, language: Language<S>): Expression<S> | Fault {
  const run = parse(source, language, "boolean");
  return isMalformed(run) ? run : { test: (subject) => decide(() => run(new Evaluation(subject)) === true) };
}

/** Reads an expression that stands for a list of texts, as in a role's template. */
export function parseList<S>(source: string, language: Language<S>): ListExpression<S> | Fault {
  const run = parse(source, language, "list");
  return isMalformed(run) ? run : { values: (subject) => decide(() => asList(run(new Evaluation(subject)))) };
}

function parse<S>(source: string, language: Language<S>, wanted: "boolean" | "list"): Node<S>["run"] | Fault {
  if (source.length > MAX_EXPRESSION_LEN) return fault(0, `longer than ${MAX_EXPRESSION_LEN} characters`);
  const tokens = tokensOf(source);
  if (isMalformed(tokens)) return tokens;
  try {
    return new Parser(tokens, language).whole(wanted).run;
  } catch (error) {
    if (error instanceof Stop) return error.fault;
    throw error;
  }
}

function decide<T>(run: () => T): T | Malformed {
  try {
    return run();
  } catch (error) {
    if (error instanceof Undecidable) return malformed(error.message);
    throw error;
  }
}

/** A checked part of an expression. */
interface Node<S> {
  readonly type: Type;
  readonly at: number;
  readonly run: (evaluation: Evaluation<S>) => Value;
  /** Of a text in quotes. */
  readonly literal?: string;
  /** Of a field: whether there is one. */
  readonly exists?: (evaluation: Evaluation<S>) => boolean;
}

/** Leaves the recursion; never seen outside. */
class Stop extends Error {
  readonly fault: Fault;
  constructor(at: number, message: string) {
    super(message);
    this.fault = fault(at, message);
  }
}

/** By recursive descent. Weakest first, as in Go: `||`, `&&`, `==` and `!=`, `!`. */
class Parser<S> {
  readonly #tokens: readonly Token[];
  readonly #language: Language<S>;
  #next = 0;
  #nodes = 0;
  #depth = 0;

  constructor(tokens: readonly Token[], language: Language<S>) {
    this.#tokens = tokens;
    this.#language = language;
  }

  whole(wanted: "boolean" | "list"): Node<S> {
    const node = wanted === "boolean" ? this.#boolean(this.#or()) : this.#primary();
    const { kind, text, at } = this.#peek;
    if (kind !== "end") throw new Stop(at, `expected && or || and not ${shown(kind, text)}`);
    if (node.type !== wanted) throw new Stop(node.at, 'expected a list, as in internal["team"]');
    return node;
  }

  #or(): Node<S> {
    let left = this.#and();
    while (this.#take("||")) left = this.#junction(left, this.#and(), (a, b) => a() || b());
    return left;
  }

  #and(): Node<S> {
    let left = this.#comparison();
    while (this.#take("&&")) left = this.#junction(left, this.#comparison(), (a, b) => a() && b());
    return left;
  }

  #junction(left: Node<S>, right: Node<S>, join: (a: () => boolean, b: () => boolean) => boolean): Node<S> {
    const [a, b] = [this.#boolean(left), this.#boolean(right)];
    const run = (e: Evaluation<S>) =>
      join(
        () => a.run(e) === true,
        () => b.run(e) === true,
      );
    return this.#node({ type: "boolean", at: left.at, run });
  }

  #comparison(): Node<S> {
    const left = this.#not();
    const { at } = this.#peek;
    const equal = this.#take("==");
    if (!equal && !this.#take("!=")) return left;
    const right = this.#not();
    for (const side of [left, right]) {
      if (side.type === "list") throw new Stop(at, "a list is not compared by == or !=; use contains(list, text)");
      if (side.type === "boolean") throw new Stop(side.at, "== and != compare texts");
    }
    const run = (e: Evaluation<S>) => (asText(left.run(e)) === asText(right.run(e))) === equal;
    return this.#node({ type: "boolean", at: left.at, run });
  }

  #not(): Node<S> {
    const { at } = this.#peek;
    if (!this.#take("!")) return this.#primary();
    const operand = this.#deeper(() => this.#boolean(this.#not()));
    return this.#node({ type: "boolean", at, run: (e) => operand.run(e) !== true });
  }

  #primary(): Node<S> {
    const { kind, text, at } = this.#peek;
    if (this.#take("(")) {
      const inner = this.#deeper(() => this.#or());
      this.#expect(")");
      return inner;
    }
    if (kind !== "name" && kind !== "text") {
      throw new Stop(at, `expected a name, a text or a bracket and not ${shown(kind, text)}`);
    }
    this.#next++;
    if (kind === "text") return this.#node({ type: "text", at, run: () => text, literal: text });
    if (text === "true" || text === "false") return this.#node({ type: "boolean", at, run: () => text === "true" });
    return this.#named(text, at);
  }

  /** `name`, `labels["env"]`, `user.spec.traits["team"]`, `regexp.match(…)`. */
  #named(first: string, at: number): Node<S> {
    const steps = [first];
    for (;;) {
      if (this.#take(".")) steps.push(this.#expectKind("name"));
      else if (this.#take("[")) {
        steps.push(this.#expectKind("text"));
        this.#expect("]");
      } else break;
    }
    return this.#peek.text === "(" && this.#peek.kind === "sign"
      ? this.#call(steps.join("."), at)
      : this.#field(steps, at);
  }

  #field(steps: readonly string[], at: number): Node<S> {
    const { fields } = this.#language;
    const lengths = steps.map((_, i) => steps.length - i);
    const length = lengths.find((n) => Object.hasOwn(fields, steps.slice(0, n).join(".")));
    if (length === undefined) throw new Stop(at, unknownWord("name", steps.join("."), Object.keys(fields)));
    const [name, keys] = [steps.slice(0, length).join("."), steps.slice(length)];
    const { keyed, get, ...field } = fields[name]!;
    if (keyed === "one" && keys.length !== 1) throw new Stop(at, `expected ${name}["KEY"]`);
    if (keyed === undefined && keys.length > 0) throw new Stop(at, `${name} has no ${keys.join(".")}`);
    const type = typeof field.type === "function" ? field.type(keys) : field.type;
    if (typeof type !== "string") throw new Stop(at, type.malformed);
    return this.#node({
      type,
      at,
      run: (e) => get(e.subject, keys) ?? (type === "list" ? [] : ""),
      exists: (e) => get(e.subject, keys) !== undefined,
    });
  }

  #call(name: string, at: number): Node<S> {
    const { functions } = this.#language;
    const spec = Object.hasOwn(functions, name) ? functions[name] : undefined;
    if (spec === undefined) throw new Stop(at, unknownWord("function", name, Object.keys(functions)));
    const args = this.#deeper(() => this.#arguments());
    checkCount(name, spec, args, at);
    const ready = args.map((arg, i) => argument(name, spec.params[Math.min(i, spec.params.length - 1)]!, arg));
    const run = (e: Evaluation<S>) => spec.run(new Arguments(ready.map((value) => value(e))), e);
    return this.#node({ type: spec.type, at, run });
  }

  #arguments(): Node<S>[] {
    this.#expect("(");
    const args: Node<S>[] = [];
    while (!this.#take(")")) {
      if (args.length > 0) this.#expect(",");
      if (args.length > 0 && this.#take(")")) break; // Go allows a comma behind the last.
      args.push(this.#or());
    }
    return args;
  }

  #boolean(node: Node<S>): Node<S> {
    if (node.type === "boolean") return node;
    throw new Stop(node.at, `expected a condition, as in contains(LIST, "text"), and not a ${node.type}`);
  }

  #node(node: Node<S>): Node<S> {
    if (++this.#nodes > MAX_EXPRESSION_NODES) throw new Stop(node.at, `more than ${MAX_EXPRESSION_NODES} parts`);
    return node;
  }

  #deeper<T>(run: () => T): T {
    if (++this.#depth > MAX_EXPRESSION_DEPTH) throw new Stop(this.#peek.at, "nested too deeply");
    const result = run();
    this.#depth--;
    return result;
  }

  get #peek(): Token {
    return this.#tokens[this.#next]!;
  }

  #take(sign: string): boolean {
    const { kind, text } = this.#peek;
    if (kind !== "sign" || text !== sign) return false;
    this.#next++;
    return true;
  }

  #expect(sign: string): void {
    const { kind, text, at } = this.#peek;
    if (!this.#take(sign)) throw new Stop(at, `expected "${sign}" and not ${shown(kind, text)}`);
  }

  #expectKind(wanted: "name" | "text"): string {
    const { kind, text, at } = this.#peek;
    const what = wanted === "text" ? 'a text, as in labels["env"],' : "a name";
    if (kind !== wanted) throw new Stop(at, `expected ${what} and not ${shown(kind, text)}`);
    this.#next++;
    return text;
  }
}

function shown(kind: Token["kind"], text: string): string {
  return kind === "end" ? text : JSON.stringify(text);
}

function checkCount<S>(name: string, spec: FunctionSpec<S>, args: readonly Node<S>[], at: number): void {
  const wanted = spec.params.length;
  if (args.length === wanted || (spec.variadic && args.length >= wanted)) return;
  const count = `${spec.variadic ? "at least " : ""}${wanted} argument${wanted === 1 ? "" : "s"}`;
  throw new Stop(at, `${name} takes ${count}, not ${args.length}`);
}

/** A pattern is a literal, so that it is known, and paid for, when the expression is written. */
function argument<S>(name: string, param: Param, node: Node<S>): (evaluation: Evaluation<S>) => Argument {
  const refuse = (what: string): never => {
    throw new Stop(node.at, `${name} expects ${what} here`);
  };
  switch (param) {
    case "text":
      if (node.type !== "text" && node.type !== "any") refuse("a text");
      return (e) => asText(node.run(e));
    case "list":
      if (node.type === "boolean") refuse("a list or a text");
      return (e) => asList(node.run(e));
    case "entry":
      return node.exists ?? refuse('a field, as in labels["env"],');
    case "regex": {
      if (node.literal === undefined) return refuse("a regular expression in quotes");
      const regex = parseRegex(node.literal);
      if (isMalformed(regex)) throw new Stop(node.at, `invalid regular expression: ${regex.malformed}`);
      return () => regex;
    }
    case "pattern": {
      if (node.literal === undefined) return refuse("a pattern in quotes");
      const pattern = parsePattern([node.literal]);
      if (isMalformed(pattern)) throw new Stop(node.at, `invalid regular expression: ${pattern.malformed}`);
      return () => pattern;
    }
  }
}
