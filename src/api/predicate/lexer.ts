import type { Malformed } from "../../base/mod.ts";

export type TokenKind = "name" | "text" | "sign" | "end";

export interface Token {
  readonly kind: TokenKind;
  /** A name, a sign such as `&&`, or a text without its quotes. */
  readonly text: string;
  /** Offset in the expression, from 0. */
  readonly at: number;
}

/** What is wrong with an expression, and where: `at` is an offset from 0. */
export interface Fault extends Malformed {
  readonly at: number;
}

export function fault(at: number, message: string): Fault {
  return { malformed: message, at };
}

const SPACE = /(?:\s|\/\/[^\n]*)+/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const SIGN = /&&|\|\||==|!=|[!.,()[\]]/y;
const QUOTED = /"((?:[^"\\\n]|\\.)*)"/y;
const RAW = /`([^`]*)`/y;

/** The words of an expression, closed by one of kind `end`. */
export function tokensOf(source: string): Token[] | Fault {
  const tokens: Token[] = [];
  let at = 0;
  const next = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  for (;;) {
    at += next(SPACE)?.[0].length ?? 0;
    if (at >= source.length) return [...tokens, { kind: "end", text: "the end", at }];
    const token = read(next);
    if (token === undefined) return fault(at, unreadable(source, at));
    const { length, ...rest } = token;
    tokens.push({ ...rest, at });
    at += length;
  }
}

function read(
  next: (pattern: RegExp) => RegExpExecArray | null,
): { kind: TokenKind; text: string; length: number } | undefined {
  const name = next(NAME);
  if (name !== null) return { kind: "name", text: name[0], length: name[0].length };
  const sign = next(SIGN);
  if (sign !== null) return { kind: "sign", text: sign[0], length: sign[0].length };
  const raw = next(RAW);
  if (raw !== null) return { kind: "text", text: raw[1]!, length: raw[0].length };
  const quoted = next(QUOTED);
  if (quoted !== null) return { kind: "text", text: unescaped(quoted[1]!), length: quoted[0].length };
  return undefined;
}

/** Go's escapes; any other stays as it is, so that `"\d+"` is the pattern that its writer meant. */
function unescaped(inside: string): string {
  const meant: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", '"': '"', "\\": "\\" };
  return inside.replace(/\\(.)/g, (whole, letter: string) => meant[letter] ?? whole);
}

function unreadable(source: string, at: number): string {
  const sign = source.slice(at, at + 1);
  if (sign === '"' || sign === "`") return `a text that begins with ${sign} does not end`;
  if (sign === "&" || sign === "|" || sign === "=") return `unexpected "${sign}"; did you mean "${sign}${sign}"?`;
  if (sign === "'") return 'texts are written in "double quotes" or `backticks`';
  if (sign === "-") return 'a name with "-" is written in brackets, as in labels["my-key"]';
  if (/\d/.test(sign)) return 'numbers are written as text, as in "5432"';
  return `unexpected ${JSON.stringify(sign)}`;
}
