import { z } from "zod";
import { parseAppUri } from "./app-uri.ts";
import { literal, metadata, port, text, texts, timestamp } from "./common.ts";
import { MAX_ENTRIES } from "./limits.ts";
import { isDnsLabel1035, isDnsSubdomain1123, isIpText, parseHostPort } from "./names.ts";

/** SNI prefixes that Teleport keeps for Kubernetes. */
const RESERVED_PREFIXES = ["kube.", "kube-teleport-proxy-alpn."];

export const appName = z.string().refine(isDnsLabel1035, {
  error:
    "must be a valid DNS label: at most 63 lower-case letters, digits and '-', beginning with a letter and not ending with '-'",
});

export const appPublicAddr = z.string().superRefine((value, context) => {
  const message = publicAddrProblem(value);
  if (message !== undefined) context.addIssue({ code: "custom", message });
});

function publicAddrProblem(value: string): string | undefined {
  if (value === "") return undefined; // means the default, as in Teleport
  const shown = JSON.stringify(value);
  if (isIpText(value)) return `public_addr ${shown} must not be an IP address; VNet and TLS need a name`;
  const parsed = parseHostPort(value);
  if (parsed?.port !== undefined || /:\d*$/.test(value)) {
    return `public_addr ${shown} must not contain a port; apps are served on the Proxy Service's port`;
  }
  if (value !== value.toLowerCase()) return `public_addr ${shown} must be lower case`;
  if (!isDnsSubdomain1123(value)) return `public_addr ${shown} must be a valid DNS name without a trailing dot`;
  const reserved = RESERVED_PREFIXES.find((prefix) => value.startsWith(prefix));
  return reserved === undefined ? undefined : `public_addr ${shown} must not begin with the reserved "${reserved}"`;
}

const tcpPort = z
  .strictObject({ port, end_port: z.union([port, z.literal(0)]).optional() })
  .superRefine((range, context) => {
    if (range.end_port === undefined || range.end_port === 0 || range.end_port > range.port) return;
    context.addIssue({
      code: "custom",
      path: ["end_port"],
      message: `end_port must be greater than port ${range.port}`,
    });
  });

const command = z.strictObject({ command: texts.min(1), period: text.optional(), result: text.optional() });

/** Features of HTTP apps and of cloud consoles. Checked for shape only; inert on a TCP app. */
const httpFeatures = {
  insecure_skip_verify: z.boolean().optional(),
  cloud: z.enum(["", "AWS", "Azure", "GCP"]).optional(),
  rewrite: z
    .strictObject({
      redirect: texts.optional(),
      headers: z
        .array(z.union([text, z.strictObject({ name: text, value: text })]))
        .max(MAX_ENTRIES)
        .optional(),
      jwt_claims: z.enum(["", "roles-and-traits", "roles", "traits", "none"]).optional(),
    })
    .optional(),
  aws: z.unknown().optional(),
  cors: z.unknown().optional(),
  required_app_names: texts.optional(),
  use_any_proxy_public_addr: z.boolean().optional(),
  integration: text.optional(),
  user_groups: texts.optional(),
  identity_center: z.unknown().optional(),
  tls: z.unknown().optional(),
};

/** A TCP app's protection against DNS rebinding, where it speaks plain HTTP. */
const httpHostCheck = z.strictObject({
  mode: z.enum(["on", "off"], { error: "expected on or off" }).optional(),
  /** Host names besides `public_addr`. */
  allow: z
    .array(z.string().refine(isHostName, { error: "expected a host name without a port" }))
    .max(MAX_ENTRIES)
    .optional(),
});

function isHostName(text: string): boolean {
  return isDnsSubdomain1123(text.toLowerCase().replace(/\.$/, ""));
}

export const appSpecSchema = z
  .strictObject({
    uri: z.string({ error: "an app needs a uri such as tcp://localhost:5432" }),
    public_addr: appPublicAddr.optional(),
    tcp_ports: z.array(tcpPort).max(MAX_ENTRIES).optional(),
    http_host_check: httpHostCheck.optional(),
    dynamic_labels: z
      .union([z.record(text, command), z.array(command.extend({ name: text }))], {
        error: "expected a map from label name to {command, period}",
      })
      .optional(),
    ...httpFeatures,
  })
  .superRefine((spec, context) => {
    const problem = uriProblem(spec);
    if (problem !== undefined) context.addIssue({ code: "custom", path: ["uri"], message: problem });
  });

function uriProblem(spec: { uri: string; tcp_ports?: unknown[] | undefined }): string | undefined {
  const uri = parseAppUri(spec.uri);
  if (typeof uri === "string") return uri;
  if (uri.scheme !== "tcp") return undefined;
  const multiPort = (spec.tcp_ports?.length ?? 0) > 0;
  if (multiPort && uri.port !== undefined) return "must not contain a port when tcp_ports is given";
  if (!multiPort && uri.port === undefined) return "a tcp:// URI needs a port, as in tcp://localhost:5432";
  return undefined;
}

export const appSchema = z.strictObject({
  kind: literal("kind", "app"),
  sub_kind: text.optional(),
  version: literal("version", "v3"),
  metadata: metadata(appName),
  spec: appSpecSchema,
});

export type App = z.infer<typeof appSchema>;
export type AppSpec = z.infer<typeof appSpecSchema>;

/** What the agent's own check of the app says. Field names are Teleport's. */
const targetHealth = z.strictObject({
  /** `host:port` that was dialled. */
  address: text.optional(),
  protocol: text.optional(),
  status: z.enum(["healthy", "unhealthy", "unknown"]),
  transition_timestamp: timestamp.optional(),
  transition_reason: text.optional(),
  transition_error: text.optional(),
  message: text.optional(),
});
export type TargetHealth = z.infer<typeof targetHealth>;

/** One agent serves one app; its name is `<host_id>.<app name>`, and it lapses with the agent's heartbeat. */
export const appServerSchema = z
  .strictObject({
    kind: literal("kind", "app_server"),
    version: literal("version", "v3"),
    metadata: metadata(text.min(1)),
    spec: z.strictObject({ version: text, hostname: text, host_id: text.min(1), app: appSchema }),
    status: z.strictObject({ target_health: targetHealth.optional() }).optional(),
  })
  .superRefine((server, context) => {
    const expected = appServerName(server.spec.host_id, server.spec.app.metadata.name);
    if (server.metadata.name === expected) return;
    context.addIssue({ code: "custom", path: ["metadata", "name"], message: `name must be "${expected}"` });
  });

export type AppServer = z.infer<typeof appServerSchema>;

export function appServerName(hostId: string, app: string): string {
  return `${hostId}.${app}`;
}

/** An app's health over all agents that serve it: `healthy`, `unhealthy`, `unknown`, or how many are which. */
export function healthOf(servers: readonly AppServer[]): string {
  const all = servers.map((server) => server.status?.target_health?.status ?? "unknown");
  const good = all.filter((status) => status !== "unhealthy").length;
  if (good > 0 && good < all.length) return `${good} of ${all.length} healthy`;
  return all.includes("healthy") ? "healthy" : (all[0] ?? "unknown");
}

/** Only `tcp://` makes a TCP app; a `uri` that no longer parses counts as HTTP, which VNet leaves alone. */
export function appProtocol(app: { spec: { uri: string } }): "tcp" | "http" {
  const uri = parseAppUri(app.spec.uri);
  return typeof uri !== "string" && uri.scheme === "tcp" ? "tcp" : "http";
}

/**
 * Where a connection to `port` of a TCP app goes: any port for an app with one
 * target, only a listed one for a multi-port app (0 is its first).
 * `undefined`: refused.
 */
export function tcpTarget(spec: AppSpec, wanted: number): { host: string; port: number } | undefined {
  const uri = parseAppUri(spec.uri);
  if (typeof uri === "string" || uri.scheme !== "tcp") return undefined;
  if (uri.port !== undefined) return { host: uri.host, port: uri.port };
  const ranges = spec.tcp_ports ?? [];
  const target = wanted === 0 ? ranges[0]?.port : wanted;
  const listed = ranges.some(
    (range) => target !== undefined && target >= range.port && target <= (range.end_port || range.port),
  );
  return listed && target !== undefined ? { host: uri.host, port: target } : undefined;
}
