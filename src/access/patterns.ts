/** Decides on one text. */
export type Matcher = (text: string) => boolean;
export type Traits = Readonly<Record<string, readonly string[]>>;

/** Longest text that a pattern is tried on; labels are short. */
export const MAX_MATCH_LEN = 4096;
/** Values that one template expands to. */
export const MAX_EXPANSION = 256;

const TEMPLATE = /\{\{\s*(?:internal|external)(?:\.([A-Za-z0-9_-]+)|\["([^"\]]+)"\])\s*\}\}/;

/**
 * A condition's value as matchers, any of which suffices: a literal, `st*`
 * with `*` for any text, or `^regex$`. `{{internal.x}}` and `{{external.x}}`
 * stand for each value of the user's trait, taken literally: a trait comes
 * from outside and is text, never a pattern. A trait that the user lacks gives
 * no matcher. A value that cannot be understood gives `ifInvalid`.
 */
export function matchersOf(pattern: string, traits: Traits, ifInvalid: Matcher): Matcher[] {
  if (!pattern.includes("{{")) return [matcherOf([pattern], "", ifInvalid)];
  const match = TEMPLATE.exec(pattern);
  if (match === null) return [ifInvalid];
  const around = [pattern.slice(0, match.index), pattern.slice(match.index + match[0].length)];
  if (around.some((part) => part.includes("{{"))) return [ifInvalid];
  const name = match[1] ?? match[2] ?? "";
  const values = Object.hasOwn(traits, name) ? (traits[name] ?? []) : [];
  return values.slice(0, MAX_EXPANSION).map((value) => matcherOf(around, value, ifInvalid));
}

/** Whether one of the patterns, without templates, fits the text. */
export function fitsAny(patterns: readonly string[], text: string): boolean {
  return patterns.some((pattern) => matchersOf(pattern, {}, () => false).some((matches) => matches(text)));
}

/** `parts` are pattern text, joined by the literal `between`. */
function matcherOf(parts: readonly string[], between: string, ifInvalid: Matcher): Matcher {
  const whole = parts.join("");
  if (whole.startsWith("^") && whole.endsWith("$")) {
    const regex = compile(parts.join(RegExp.escape(between)));
    return regex === undefined ? ifInvalid : (text) => text.length <= MAX_MATCH_LEN && regex.test(text);
  }
  const stars = parts.map((part) => part.split("*"));
  const pieces = stars.reduce((left, right) => [
    ...left.slice(0, -1),
    (left.at(-1) ?? "") + between + (right[0] ?? ""),
    ...right.slice(1),
  ]);
  return (text) => text.length <= MAX_MATCH_LEN && globMatches(pieces, text);
}

function compile(source: string): RegExp | undefined {
  try {
    return new RegExp(source, "u");
  } catch {
    return undefined;
  }
}

/** `pieces` are what stands between the stars. Taking each as early as possible is enough: no backtracking. */
function globMatches(pieces: readonly string[], text: string): boolean {
  const first = pieces[0] ?? "";
  if (pieces.length === 1) return text === first;
  const last = pieces.at(-1) ?? "";
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  const end = text.length - last.length;
  let at = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, at);
    if (found < 0 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return true;
}
