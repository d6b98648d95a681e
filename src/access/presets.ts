import type { Role, RoleConditions } from "../api/mod.ts";

type Rules = NonNullable<RoleConditions["rules"]>;
type Verbs = Rules[number]["verbs"];

const READ: Verbs = ["list", "read"];
const READ_WRITE: Verbs = ["list", "create", "read", "update", "delete"];

/**
 * What every user may read, whatever the roles, as in Teleport. Of apps and
 * app servers Auth shows each user only those that `mayAccessApp` allows.
 */
export const IMPLICIT_RULES: Rules = [
  // Certificates only: the API never carries a CA's private key.
  {
    resources: [
      "vnet_config",
      "proxy",
      "cluster_auth_preference",
      "cert_authority",
      "app",
      "app_server",
      "remote_cluster",
      "cluster_networking_config",
    ],
    verbs: READ,
  },
];

/** Teleport's upper bound for a user certificate. */
export const PRESET_MAX_SESSION_TTL = "30h0m0s";

/** Created at the first start. */
export function presetRoles(): Role[] {
  return [
    preset("access", "Access cluster resources", {
      app_labels: { "*": "*" },
      rules: [{ resources: ["event"], verbs: READ }],
    }),
    preset("editor", "Edit cluster configuration", {
      rules: [
        {
          resources: [
            "user",
            "role",
            "token",
            "lock",
            "vnet_config",
            "cluster_auth_preference",
            "app",
            "app_server",
            "trusted_cluster",
            "remote_cluster",
            "cluster_networking_config",
          ],
          verbs: READ_WRITE,
        },
      ],
    }),
    preset("auditor", "Review cluster events", { rules: [{ resources: ["event"], verbs: READ }] }),
  ];
}

/** `editor/lock`: that preset role `editor` has a rule for the kind `lock`. */
export function presetRules(): string[] {
  return presetRoles().flatMap(({ metadata, spec }) =>
    resourcesOf(spec.allow).map((kind) => `${metadata.name}/${kind}`),
  );
}

/**
 * A preset role of an older version with the rules that its preset has since
 * been given, as in Teleport; `undefined` where nothing is missing. `offered`:
 * rules, as `presetRules` names them, that it was given before: who took one
 * away meant it. What the role speaks of already, also to deny it, stays as it is.
 */
export function upgradedPreset(role: Role, offered: ReadonlySet<string>): Role | undefined {
  const { name, labels } = role.metadata;
  const now = presetRoles().find((each) => each.metadata.name === name);
  if (now === undefined || labels?.[PRESET_LABEL] !== "preset") return undefined;
  const known = new Set([...resourcesOf(role.spec.allow), ...resourcesOf(role.spec.deny)]);
  const added = (now.spec.allow?.rules ?? []).flatMap((rule) => {
    const resources = rule.resources.filter((kind) => !known.has(kind) && !offered.has(`${name}/${kind}`));
    return resources.length > 0 && !known.has("*") ? [{ ...rule, resources }] : [];
  });
  if (added.length === 0) return undefined;
  const rules = [...(role.spec.allow?.rules ?? []), ...added];
  return { ...role, spec: { ...role.spec, allow: { ...role.spec.allow, rules } } };
}

function resourcesOf(conditions: RoleConditions | undefined): string[] {
  return (conditions?.rules ?? []).flatMap(({ resources }) => resources);
}

const PRESET_LABEL = "teleport.internal/resource-type";

function preset(name: string, description: string, allow: RoleConditions): Role {
  return {
    kind: "role",
    version: "v7",
    metadata: { name, description, labels: { [PRESET_LABEL]: "preset" } },
    spec: { options: { max_session_ttl: PRESET_MAX_SESSION_TTL }, allow, deny: {} },
  };
}
