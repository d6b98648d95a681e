import {
  LABEL_LANGUAGE,
  type LabelConditions,
  type Matcher,
  parseExpression,
  parsePattern,
  parseTraitPattern,
  type RoleConditions,
  type Traits,
} from "../api/mod.ts";
import { isMalformed } from "../base/mod.ts";

export type Labels = Readonly<Record<string, string>>;
export type Effect = "allow" | "deny";

/**
 * What one side of a role says of apps, for a user with these traits: patterns
 * are read once and tried on many apps. Of `app_labels` and
 * `app_labels_expression` to allow needs both, where both are there; to deny,
 * either is enough. Neither allows nothing and denies nothing.
 *
 * What cannot be understood (a pattern from an old version) or decided (a trait
 * that is no e-mail address) allows nothing and denies everything.
 */
export function appCondition(
  effect: Effect,
  conditions: RoleConditions | undefined,
  traits: Traits,
): (labels: Labels) => boolean {
  const { app_labels, app_labels_expression } = conditions ?? {};
  const parts = [
    ...(app_labels && Object.keys(app_labels).length > 0 ? [labelsCondition(effect, app_labels, traits)] : []),
    ...(app_labels_expression ? [expressionCondition(effect, app_labels_expression, traits)] : []),
  ];
  if (parts.length === 0) return () => false;
  return (labels) => (effect === "allow" ? parts.every((fits) => fits(labels)) : parts.some((fits) => fits(labels)));
}

/** Whether a thing's labels are among those that this selector means, as `app_service.resources` does. Without labels, none. */
export function labelSelector(conditions: LabelConditions): (labels: Labels) => boolean {
  return Object.keys(conditions).length === 0 ? () => false : labelsCondition("allow", conditions, {});
}

/** AND over keys, OR over one key's values. `'*': '*'` fits everything, apps without labels too. */
function labelsCondition(effect: Effect, conditions: LabelConditions, traits: Traits): (labels: Labels) => boolean {
  if ([conditions["*"]].flat().includes("*")) return () => true;
  const entries = Object.entries(conditions).map(([key, values]) => {
    return [key, [values].flat().flatMap((value) => matchersOf(effect, value, traits))] as const;
  });
  return (labels) =>
    entries.every(([key, matchers]) => {
      const label = Object.hasOwn(labels, key) ? labels[key] : undefined;
      return label !== undefined && matchers.some((fits) => fits(label));
    });
}

function matchersOf(effect: Effect, value: string, traits: Traits): readonly Matcher[] {
  const pattern = parseTraitPattern(value);
  const matchers = isMalformed(pattern) ? pattern : pattern.matchers(traits);
  return isMalformed(matchers) ? [() => effect === "deny"] : matchers;
}

function expressionCondition(effect: Effect, source: string, traits: Traits): (labels: Labels) => boolean {
  const expression = parseExpression(source, LABEL_LANGUAGE);
  if (isMalformed(expression)) return () => effect === "deny";
  return (labels) => {
    const holds = expression.test({ labels, traits });
    return typeof holds === "boolean" ? holds : effect === "deny";
  };
}

/** Whether one of the patterns, without templates, fits the text. */
export function fitsAny(patterns: readonly string[], text: string): boolean {
  return patterns.some((pattern) => {
    const matcher = parsePattern([pattern]);
    return !isMalformed(matcher) && matcher(text);
  });
}
