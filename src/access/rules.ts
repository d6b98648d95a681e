import { parseWhere, type Rule, type RuleSubject } from "../api/mod.ts";
import { isMalformed } from "../base/mod.ts";
import type { Effect } from "./labels.ts";

/**
 * Whether a rule holds for this user and a resource; `undefined`: it is not
 * known which, and the question is whether it may hold for some (to allow) or
 * holds for every one (to deny).
 *
 * A condition that cannot be understood (of another version) or decided of a
 * resource allows nothing and denies everything.
 */
export function ruleCondition(
  effect: Effect,
  rule: Rule,
  user: RuleSubject["user"],
): (resource: object | undefined) => boolean {
  if (!rule.where) return () => true;
  const expression = parseWhere(rule, rule.where);
  if (isMalformed(expression)) return () => effect === "deny";
  return (resource) => {
    const holds = expression.test({ user, resource });
    if (typeof holds === "boolean") return holds;
    return (effect === "deny") === (resource !== undefined);
  };
}
