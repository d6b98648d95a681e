import type { App, Kind, Role, RoleConditions, Traits, Verb } from "../api/mod.ts";
import { appCondition } from "./labels.ts";
import { IMPLICIT_RULES } from "./presets.ts";

export interface Decision {
  readonly allowed: boolean;
  /** For the audit log and the administrator; the refused user is told less. */
  readonly reason: string;
}

/** Whether these roles let the user with these traits reach the app. Deny wins; no rule is no access. */
export function mayAccessApp(roles: readonly Role[], app: App, traits: Traits = {}): Decision {
  return appAccess(roles, traits)(app);
}

/** The same, to be asked of many apps: what the roles say is read once. */
export function appAccess(roles: readonly Role[], traits: Traits): (app: App) => Decision {
  const sides = (effect: "allow" | "deny") =>
    roles.map((role) => ({ role, covers: appCondition(effect, role.spec[effect], traits) }));
  const [deny, allow] = [sides("deny"), sides("allow")];
  return ({ metadata }) => {
    const name = JSON.stringify(metadata.name);
    const labels = metadata.labels ?? {};
    const denying = deny.find(({ covers }) => covers(labels));
    if (denying !== undefined) return { allowed: false, reason: `role ${quote(denying.role)} denies app ${name}` };
    const allowing = allow.find(({ covers }) => covers(labels));
    if (allowing !== undefined) return { allowed: true, reason: `role ${quote(allowing.role)} allows app ${name}` };
    return { allowed: false, reason: `${noneOf(roles)} app ${name}` };
  };
}

/** What rules speak of: resource kinds, and `event` for the audit log. */
export type RuleKind = Kind | "event";

/** Whether these roles may do this to resources of this kind. Every user also has the implicit role. */
export function mayDo(roles: readonly Role[], verb: Verb, kind: RuleKind): Decision {
  const what = `${verb} on ${kind}`;
  const denying = roles.find((role) => rulesCover(role.spec.deny?.rules, verb, kind, "deny"));
  if (denying !== undefined) return { allowed: false, reason: `role ${quote(denying)} denies ${what}` };
  if (rulesCover(IMPLICIT_RULES, verb, kind, "allow")) return { allowed: true, reason: `every user has ${what}` };
  const allowing = roles.find((role) => rulesCover(role.spec.allow?.rules, verb, kind, "allow"));
  if (allowing !== undefined) return { allowed: true, reason: `role ${quote(allowing)} allows ${what}` };
  return { allowed: false, reason: `${noneOf(roles)} ${what}` };
}

function rulesCover(rules: RoleConditions["rules"], verb: Verb, kind: RuleKind, effect: "allow" | "deny"): boolean {
  return (rules ?? []).some((rule) => {
    if (!rule.resources.includes(kind) && !rule.resources.includes("*")) return false;
    if (rule.verbs.includes(verb) || rule.verbs.includes("*")) return true;
    // Who may read with secrets may read without; who may not even without, not with.
    if (effect === "allow") return verb === "readnosecrets" && rule.verbs.includes("read");
    return verb === "read" && rule.verbs.includes("readnosecrets");
  });
}

function quote(role: Role): string {
  return JSON.stringify(role.metadata.name);
}

function noneOf(roles: readonly Role[]): string {
  return roles.length === 0
    ? "the user has no roles, nothing allows"
    : `none of the roles ${roles.map(quote).join(", ")} allows`;
}
