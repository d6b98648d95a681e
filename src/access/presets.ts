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
    resources: ["vnet_config", "proxy", "cluster_auth_preference", "cert_authority", "app", "app_server"],
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
          resources: ["user", "role", "token", "lock", "vnet_config", "cluster_auth_preference", "app", "app_server"],
          verbs: READ_WRITE,
        },
      ],
    }),
    preset("auditor", "Review cluster events", { rules: [{ resources: ["event"], verbs: READ }] }),
  ];
}

function preset(name: string, description: string, allow: RoleConditions): Role {
  return {
    kind: "role",
    version: "v7",
    metadata: { name, description, labels: { "teleport.internal/resource-type": "preset" } },
    spec: { options: { max_session_ttl: PRESET_MAX_SESSION_TTL }, allow, deny: {} },
  };
}
