import { z } from "zod";
import { isMalformed } from "../base/mod.ts";
import {
  durationText,
  idleTimeout,
  ignored,
  literal,
  metadata,
  resourceName,
  sessionMfa,
  text,
  texts,
  unenforced,
  yesOrNo,
} from "./common.ts";
import { MAX_ENTRIES } from "./limits.ts";
import {
  type Expression,
  type Fault,
  LABEL_LANGUAGE,
  parseExpression,
  parseTraitPattern,
  type RuleSubject,
} from "./predicate/mod.ts";

export const VERBS = ["list", "create", "read", "readnosecrets", "update", "delete", "use"] as const;
export type Verb = (typeof VERBS)[number];

const labelValue = z
  .union([text, texts.min(1)], { error: "expected a string or a list of strings" })
  .superRefine((value, context) => {
    for (const [i, pattern] of [value].flat().entries()) {
      const parsed = parseTraitPattern(pattern);
      const path = Array.isArray(value) ? [i] : [];
      if (isMalformed(parsed)) context.addIssue({ code: "custom", path, message: parsed.malformed });
    }
  });

const labelsExpression = text.superRefine((value, context) => {
  if (value === "") return; // says nothing, as if it were absent
  const fault = parseExpression(value, LABEL_LANGUAGE);
  if (isMalformed(fault)) context.addIssue({ code: "custom", message: faultText(fault, value) });
});

function faultText({ at, malformed }: Fault, source: string): string {
  return `${placeIn(source, at)}: ${malformed}`;
}

/** `column 7`, or `line 2, column 7` where there are several. */
function placeIn(text: string, at: number): string {
  const lines = text.slice(0, at).split("\n");
  const column = `column ${(lines.at(-1)?.length ?? 0) + 1}`;
  return text.includes("\n") ? `line ${lines.length}, ${column}` : column;
}

/** `env: prod`, `env: [dev, staging]`, `env: "st*"`, `env: "^(a|b)$"`, `"*": "*"`. */
export const labelConditions = z.record(text, labelValue);

const ruleFields = z.strictObject({
  resources: texts
    .min(1, "needs at least one resource kind")
    .describe("Kinds of resource, event for the audit log, or *."),
  verbs: z
    .array(z.enum([...VERBS, "*"], { error: `expected one of ${VERBS.join(", ")} or *` }))
    .min(1)
    .max(MAX_ENTRIES)
    .describe("What may be done to them: list, create, read, readnosecrets, update, delete, use, or *."),
  where: text
    .optional()
    .describe(
      'Only where this holds, as in contains(user.spec.traits["teams"], resource.metadata.labels["team"]). It knows user.metadata.name, user.spec.roles, user.spec.traits, the fields of the resource, equals, has_prefix, is_subset, set and the functions of app_labels_expression.',
    ),
  actions: z.unknown().optional().describe("Accepted for compatibility, without effect."),
});
export type Rule = z.infer<typeof ruleFields>;

/** Reads a rule's condition; which fields there are depends on the kinds that the rule speaks of. */
export type WhereParser = (rule: Pick<Rule, "resources">, where: string) => Expression<RuleSubject> | Fault;

/** Conditions of Teleport's services that this version does not have: kept, and of no effect. */
const otherServices = Object.fromEntries(
  [
    "logins",
    "node_labels",
    "node_labels_expression",
    "cluster_labels",
    "cluster_labels_expression",
    "kubernetes_labels",
    "kubernetes_labels_expression",
    "kubernetes_groups",
    "kubernetes_users",
    "kubernetes_resources",
    "db_labels",
    "db_labels_expression",
    "db_names",
    "db_users",
    "db_roles",
    "db_service_labels",
    "db_service_labels_expression",
    "db_permissions",
    "windows_desktop_labels",
    "windows_desktop_labels_expression",
    "windows_desktop_logins",
    "desktop_groups",
    "host_groups",
    "host_sudoers",
    "group_labels",
    "group_labels_expression",
    "github_permissions",
    "mcp",
    "spiffe",
    "workload_identity_labels",
    "workload_identity_labels_expression",
    "account_assignments",
    "aws_role_arns",
    "azure_identities",
    "gcp_service_accounts",
    "impersonate",
    "request",
    "review_requests",
    "join_sessions",
    "require_session_join",
  ].map((key) => [key, ignored()]),
);

function conditionsWith(parseWhere: WhereParser) {
  return z.strictObject({
    app_labels: labelConditions
      .optional()
      .describe(
        'Labels of the apps, all of which must fit: a text, a list of which one must fit, * for any text, ^REGEX$, {{internal.TRAIT}}. "*": "*" fits every app, those without labels too.',
      ),
    app_labels_expression: labelsExpression
      .optional()
      .describe(
        'A condition instead, as labels["env"] == "dev" || contains(user.spec.traits["teams"], labels["team"]). To allow, both must hold where both are given; to deny, either.',
      ),
    rules: z
      .array(ruleWith(parseWhere))
      .max(MAX_ENTRIES)
      .optional()
      .describe("What may be done to the cluster's own resources."),
    ...otherServices,
  });
}

function ruleWith(parseWhere: WhereParser) {
  return ruleFields.superRefine((rule, context) => {
    if (!rule.where) return;
    const fault = parseWhere(rule, rule.where);
    if (!isMalformed(fault)) return;
    context.addIssue({ code: "custom", path: ["where"], message: faultText(fault, rule.where) });
  });
}

/** Options of Teleport's other services. */
const otherOptions = Object.fromEntries(
  [
    "forward_agent",
    "port_forwarding",
    "ssh_port_forwarding",
    "ssh_file_copy",
    "permit_x11_forwarding",
    "max_sessions",
    "record_session",
    "enhanced_recording",
    "cert_format",
    "cert_extensions",
    "request_access",
    "request_prompt",
    "desktop_clipboard",
    "desktop_directory_sharing",
    "create_desktop_user",
    "create_host_user",
    "create_host_user_mode",
    "create_host_user_default_shell",
    "create_db_user",
    "create_db_user_mode",
    "idp",
    "mfa_verification_interval",
  ].map((key) => [key, ignored()]),
);

const options = z.strictObject({
  max_session_ttl: durationText.optional().describe("The longest login; of several roles the shortest counts."),
  require_session_mfa: sessionMfa.optional().describe("Whether each app session needs a second factor."),
  client_idle_timeout: idleTimeout
    .optional()
    .describe("A connection without an octet for so long ends. Absent, 0 and never: no bound."),
  disconnect_expired_cert: yesOrNo
    .optional()
    .describe("Whether connections end with the login. They always do; this says so by name."),
  device_trust_mode: unenforced("", "off", "optional").describe(
    "Not enforced by this version: only values that ask for nothing are accepted.",
  ),
  pin_source_ip: unenforced(false).describe("Not enforced by this version: only false is accepted."),
  max_connections: z.int().min(0).optional().describe("Connections of one user at one agent. Absent and 0: no bound."),
  lock: z
    .enum(["", "best_effort", "strict"])
    .optional()
    .describe("strict: agents with an old view of the locks refuse the user. best_effort: they go by it."),
  ...otherOptions,
});

/** The conditions of rules are about all kinds, roles among them: so their parser comes from outside. */
export function roleSchemaWith(parseWhere: WhereParser) {
  const conditions = conditionsWith(parseWhere);
  return z.strictObject({
    kind: literal("kind", "role"),
    version: z
      .enum(["v3", "v4", "v5", "v6", "v7", "v8"], { error: 'version must be "v7"' })
      .describe("Version of the kind's fields; older ones are read as v7."),
    metadata: metadata(resourceName.describe("Name of the role.")),
    spec: z.strictObject({
      options: options
        .optional()
        .describe("What bounds the users' sessions; of several roles the strictest word counts."),
      allow: conditions.optional().describe("What the role allows."),
      deny: conditions.optional().describe("What the role denies, whatever other roles allow."),
    }),
  });
}

export type Role = z.infer<ReturnType<typeof roleSchemaWith>>;
export type RoleConditions = z.infer<ReturnType<typeof conditionsWith>>;
export type LabelConditions = z.infer<typeof labelConditions>;
