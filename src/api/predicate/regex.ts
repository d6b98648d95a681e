import { RE2JS } from "re2js";
import { isMalformed, type Malformed, malformed } from "../../base/mod.ts";
import { MAX_MATCH_LEN, MAX_REGEX_LEN, MAX_REGEX_PROGRAM } from "../limits.ts";

/**
 * A regular expression of RE2's syntax, as in Teleport: no back references and
 * no look-around, hence time linear in the text, whatever the pattern (ADR 4).
 * Over-long text fits nothing.
 */
export interface Regex {
  /** Whether the pattern occurs in the text; `^` and `$` bind it to the ends. */
  test(text: string): boolean;
  /** Each occurrence by `template`, in which `$1`, `${1}` and `${name}` are groups, as Go expands them. */
  replaceAll(text: string, template: string): string;
}

/** The reason of `Malformed` is the parser's own sentence. */
export function parseRegex(source: string): Regex | Malformed {
  if (source.length > MAX_REGEX_LEN) return malformed(`longer than ${MAX_REGEX_LEN} characters`);
  const compiled = compile(source);
  if (isMalformed(compiled)) return compiled;
  if (compiled.programSize() > MAX_REGEX_PROGRAM) return malformed("too large when its repetitions are written out");
  const names = compiled.namedGroups();
  return {
    test: (text) => text.length <= MAX_MATCH_LEN && compiled.matcher(text).find(),
    replaceAll(text, template) {
      if (text.length > MAX_MATCH_LEN) return text;
      const expanded = (...groups: unknown[]) => expand(template, groups.slice(0, compiled.groupCount() + 1), names);
      return compiled.matcher(text).replaceAll(expanded);
    },
  };
}

/** The text as a pattern that fits only itself, inside brackets too. */
export function quoteRegex(text: string): string {
  return text.replace(/[!-/:-@[-`{-~]/g, "\\$&");
}

function compile(source: string): RE2JS | Malformed {
  try {
    return RE2JS.compile(source);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return malformed(message.replace(/^error parsing regexp: /, ""));
  }
}

/** Go's `Regexp.Expand`: the longest name counts (`$1x` is the group `1x`), an unknown group is empty, `$$` is `$`. */
function expand(template: string, groups: readonly unknown[], names: Record<string, number>): string {
  return template.replace(/\$(?:\$|(\w+)|\{(\w+)\})/g, (whole, bare?: string, braced?: string) => {
    if (whole === "$$") return "$";
    const name = bare ?? braced ?? "";
    const index = /^\d+$/.test(name) ? Number(name) : Object.hasOwn(names, name) ? names[name]! : -1;
    const group = groups[index];
    return typeof group === "string" ? group : "";
  });
}
