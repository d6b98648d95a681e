import type { App, Resource, Role, Rule, RuleKind, Traits, Verb } from "../api/mod.ts";
import { appCondition, type Effect } from "./labels.ts";
import { IMPLICIT_RULES } from "./presets.ts";
import { ruleCondition } from "./rules.ts";

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
  const sides = (effect: Effect) =>
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

/** Who asks, as rules judge of them. */
export interface Grants {
  readonly user: string;
  readonly roles: readonly Role[];
  readonly traits: Traits;
}

/**
 * Whether this user may do this to a resource of this kind; asked without one,
 * whether there may be any. What the roles say is read once. Every user also
 * has the implicit role. An event of the audit log is no resource.
 */
export function ruleAccess(grants: Grants, verb: Verb, kind: RuleKind): (resource?: Resource) => Decision {
  const what = `${verb} on ${kind}`;
  const { user: name, roles, traits } = grants;
  const user = { name, traits, roles: roles.map(({ metadata }) => metadata.name) };
  const sides = (effect: Effect) =>
    roles.flatMap((role) => {
      const rules = rulesFor(role.spec[effect]?.rules, verb, kind, effect);
      return rules.map((rule) => ({ role, covers: ruleCondition(effect, rule, user) }));
    });
  const [deny, allow] = [sides("deny"), sides("allow")];
  const everybody = rulesFor(IMPLICIT_RULES, verb, kind, "allow").length > 0;
  return (given) => {
    const resource = kind === "event" ? NO_RESOURCE : given;
    const denying = deny.find(({ covers }) => covers(resource));
    if (denying !== undefined) return { allowed: false, reason: `role ${quote(denying.role)} denies ${what}` };
    if (everybody) return { allowed: true, reason: `every user has ${what}` };
    const allowing = allow.find(({ covers }) => covers(resource));
    if (allowing !== undefined) return { allowed: true, reason: `role ${quote(allowing.role)} allows ${what}` };
    return { allowed: false, reason: `${noneOf(roles)} ${what}${allow.length > 0 ? ": its where does not hold" : ""}` };
  };
}

const NO_RESOURCE = {};

function rulesFor(rules: readonly Rule[] = [], verb: Verb, kind: RuleKind, effect: Effect): readonly Rule[] {
  return rules.filter((rule) => {
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
