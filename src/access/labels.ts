import type { LabelConditions } from "../api/mod.ts";
import { matchersOf, type Traits } from "./patterns.ts";

export type Labels = Readonly<Record<string, string>>;

/**
 * Whether all conditions hold: AND over keys, OR over one key's values.
 * `'*': '*'` matches everything, things without labels too; no conditions
 * match nothing. What cannot be understood (a bad regular expression from an
 * old version) allows nothing and denies everything.
 */
export function labelsMatch(
  effect: "allow" | "deny",
  conditions: LabelConditions | undefined,
  labels: Labels,
  traits: Traits,
): boolean {
  if (conditions === undefined) return false;
  const entries = Object.entries(conditions);
  if (entries.length === 0) return false;
  if ([conditions["*"]].flat().includes("*")) return true;
  const ifInvalid = () => effect === "deny";
  return entries.every(([key, values]) => {
    const matchers = [values].flat().flatMap((value) => matchersOf(value, traits, ifInvalid));
    const label = Object.hasOwn(labels, key) ? labels[key] : undefined;
    return label !== undefined && matchers.some((matches) => matches(label));
  });
}
