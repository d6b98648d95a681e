import { isMalformed, type Malformed, malformed } from "../../base/mod.ts";
import { MAX_EXPANSION, MAX_MATCH_LEN } from "../limits.ts";
import { LABEL_FUNCTIONS } from "./label-language.ts";
import type { Language } from "./language.ts";
import { parseList } from "./parser.ts";
import { type Matcher, parsePattern } from "./pattern.ts";

export type Traits = Readonly<Record<string, readonly string[]>>;

/** Teleport's templates: `{{internal.team}}`, `{{email.local(external.email)}}`, `{{regexp.replace(external.x, "re", "$1")}}`. */
const TEMPLATE_LANGUAGE: Language<Traits> = {
  fields: {
    internal: { type: "list", keyed: "one", get: traitOf },
    external: { type: "list", keyed: "one", get: traitOf },
  },
  functions: {
    "email.local": LABEL_FUNCTIONS["email.local"],
    "regexp.replace": LABEL_FUNCTIONS["regexp.replace"],
  },
};

/** Internal traits are the user's own and external ones an identity provider's; here a user has one set of both. */
function traitOf(traits: Traits, [name = ""]: readonly string[]): readonly string[] | undefined {
  return Object.hasOwn(traits, name) ? traits[name] : undefined;
}

/** A role's pattern for one user: what it fits, any of which suffices. */
export interface TraitPattern {
  /** `Malformed` where the template cannot be carried out with these traits. */
  matchers(traits: Traits): readonly Matcher[] | Malformed;
}

/**
 * A condition's value: a pattern, with at most one template in it that stands
 * for each value of a trait, taken literally: a trait comes from outside and is
 * text, never a pattern. A trait that the user lacks leaves nothing that fits.
 */
export function parseTraitPattern(value: string): TraitPattern | Malformed {
  const opening = value.indexOf("{{");
  if (opening < 0) {
    const matcher = parsePattern([value]);
    if (isMalformed(matcher)) return malformed(`invalid regular expression: ${matcher.malformed}`);
    return { matchers: () => [matcher] };
  }
  const closing = value.indexOf("}}", opening);
  if (closing < 0) return malformed('a template that begins with "{{" does not end with "}}"');
  const [before, inside] = [value.slice(0, opening), value.slice(opening + 2, closing)];
  const behind = value.slice(closing + 2);
  if (behind.includes("{{")) return malformed("only one {{…}} is possible");
  const list = parseList(inside, TEMPLATE_LANGUAGE);
  if (isMalformed(list)) return malformed(`in {{…}}, column ${list.at + 1}: ${list.malformed}`);
  // What surrounds the template must be understood whatever the trait is.
  const sample = parsePattern([before, behind], "x");
  if (isMalformed(sample)) return malformed(`invalid regular expression: ${sample.malformed}`);
  return { matchers: (traits) => matchersFor([before, behind], list.values(traits)) };
}

function matchersFor(parts: readonly string[], values: readonly string[] | Malformed): readonly Matcher[] | Malformed {
  if (isMalformed(values)) return values;
  if (values.length > MAX_EXPANSION) return malformed(`a trait has more than ${MAX_EXPANSION} values`);
  const matchers = values.map((value) => (value.length > MAX_MATCH_LEN ? () => false : parsePattern(parts, value)));
  return matchers.find(isMalformed) ?? (matchers as Matcher[]);
}
