import { isMalformed, type Malformed } from "../../base/mod.ts";
import { MAX_MATCH_LEN } from "../limits.ts";
import { parseRegex, quoteRegex } from "./regex.ts";

/** Decides on one text. */
export type Matcher = (text: string) => boolean;

/**
 * A pattern of labels, names and roles: a literal, `st*` with `*` for any
 * text, or `^regex$`. `parts` are pattern text, joined by the literal
 * `between`, which is never taken for a pattern itself.
 */
export function parsePattern(parts: readonly string[], between = ""): Matcher | Malformed {
  const whole = parts.join("");
  if (isRegexPattern(whole)) {
    const regex = parseRegex(parts.join(quoteRegex(between)));
    return isMalformed(regex) ? regex : (text) => regex.test(text);
  }
  const pieces = parts
    .map((part) => part.split("*"))
    .reduce((left, right) => [
      ...left.slice(0, -1),
      (left.at(-1) ?? "") + between + (right[0] ?? ""),
      ...right.slice(1),
    ]);
  return (text) => text.length <= MAX_MATCH_LEN && globMatches(pieces, text);
}

/** `^…$` is a regular expression; anything else is a name, perhaps with stars. */
export function isRegexPattern(pattern: string): boolean {
  return pattern.startsWith("^") && pattern.endsWith("$");
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
