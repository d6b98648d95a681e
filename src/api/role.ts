import { z } from "zod";
import { isMalformed } from "../base/mod.ts";
import { durationText, literal, metadata, resourceName, text, texts, unenforced, yesOrNo } from "./common.ts";
import { MAX_ENTRIES } from "./limits.ts";
import { LABEL_LANGUAGE, parseExpression, parseTraitPattern } from "./predicate/mod.ts";

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
  if (isMalformed(fault))
    context.addIssue({ code: "custom", message: `${placeIn(value, fault.at)}: ${fault.malformed}` });
});

/** `column 7`, or `line 2, column 7` where there are several. */
function placeIn(text: string, at: number): string {
  const lines = text.slice(0, at).split("\n");
  const column = `column ${(lines.at(-1)?.length ?? 0) + 1}`;
  return text.includes("\n") ? `line ${lines.length}, ${column}` : column;
}

/** `env: prod`, `env: [dev, staging]`, `env: "st*"`, `env: "^(a|b)$"`, `"*": "*"`. */
const labels = z.record(text, labelValue);

const rule = z.strictObject({
  resources: texts.min(1, "needs at least one resource kind"),
  verbs: z
    .array(z.enum([...VERBS, "*"], { error: `expected one of ${VERBS.join(", ")} or *` }))
    .min(1)
    .max(MAX_ENTRIES),
  where: unenforced(""),
  actions: z.unknown().optional(),
});

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
  ].map((key) => [key, z.unknown().optional()]),
);

const conditions = z.strictObject({
  app_labels: labels.optional(),
  app_labels_expression: labelsExpression.optional(),
  rules: z.array(rule).max(MAX_ENTRIES).optional(),
  ...otherServices,
});

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
  ].map((key) => [key, z.unknown().optional()]),
);

const options = z.strictObject({
  max_session_ttl: durationText.optional(),
  require_session_mfa: unenforced(false, "off", "no"),
  /** Absent, 0 and `never` mean no bound. */
  client_idle_timeout: z
    .union([durationText, z.literal("never"), z.literal(0)], { error: "expected a duration such as 30m, or never" })
    .optional(),
  /** Connections never outlive the login: this says so by name, and costs nothing. */
  disconnect_expired_cert: yesOrNo.optional(),
  device_trust_mode: unenforced("", "off", "optional"),
  pin_source_ip: unenforced(false),
  /** Of one user at one agent; 0 means no bound. */
  max_connections: z.int().min(0).optional(),
  lock: z.enum(["", "best_effort", "strict"]).optional(),
  ...otherOptions,
});

export const roleSchema = z.strictObject({
  kind: literal("kind", "role"),
  version: z.enum(["v3", "v4", "v5", "v6", "v7", "v8"], { error: 'version must be "v7"' }),
  metadata: metadata(resourceName),
  spec: z.strictObject({
    options: options.optional(),
    allow: conditions.optional(),
    deny: conditions.optional(),
  }),
});

export type Role = z.infer<typeof roleSchema>;
export type RoleConditions = z.infer<typeof conditions>;
export type LabelConditions = z.infer<typeof labels>;
