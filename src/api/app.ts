import { z } from "zod";
import { parseAppUri } from "./app-uri.ts";
import { durationText, literal, metadata, port, text, texts, timestamp } from "./common.ts";
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
  .strictObject({
    port: port.describe("The port, or the first of a range."),
    end_port: z
      .union([port, z.literal(0)])
      .optional()
      .describe("The last of a range. Absent and 0: one port."),
  })
  .superRefine((range, context) => {
    if (range.end_port === undefined || range.end_port === 0 || range.end_port > range.port) return;
    context.addIssue({
      code: "custom",
      path: ["end_port"],
      message: `end_port must be greater than port ${range.port}`,
    });
  });

const command = z.strictObject({
  command: texts.min(1).describe("The program and its arguments; no shell."),
  period: durationText.optional().describe("How often it runs; 1m by default, 1s at least."),
  result: text.optional().describe("What it printed last. Written by the agent."),
});

/** Features of HTTP apps and of cloud consoles. Checked for shape only; inert on a TCP app. */
const httpFeatures = {
  insecure_skip_verify: z
    .boolean()
    .optional()
    .describe("Of web apps: whether the app's own certificate goes unchecked."),
  cloud: z.enum(["", "AWS", "Azure", "GCP"]).optional().describe("Of cloud consoles; kept, without effect."),
  rewrite: z
    .strictObject({
      redirect: texts.optional().describe("Hosts in redirections that mean the app itself."),
      headers: z
        .array(z.union([text, z.strictObject({ name: text.describe("Name."), value: text.describe("Value.") })]))
        .max(MAX_ENTRIES)
        .optional()
        .describe("Headers that are added to requests."),
      jwt_claims: z
        .enum(["", "roles-and-traits", "roles", "traits", "none"])
        .optional()
        .describe("What of the user the assertion says."),
    })
    .optional()
    .describe("Of web apps: redirects and headers."),
  aws: z.unknown().optional().describe("Of cloud consoles; kept, without effect."),
  cors: z.unknown().optional().describe("Of web apps; kept, without effect."),
  required_app_names: texts.optional().describe("Of web apps; kept, without effect."),
  use_any_proxy_public_addr: z.boolean().optional().describe("Of web apps; kept, without effect."),
  integration: text.optional().describe("Of cloud consoles; kept, without effect."),
  user_groups: texts.optional().describe("Of Okta; kept, without effect."),
  identity_center: z.unknown().optional().describe("Of cloud consoles; kept, without effect."),
  tls: z.unknown().optional().describe("Of web apps; kept, without effect."),
};

/** A TCP app's protection against DNS rebinding, where it speaks plain HTTP. */
const httpHostCheck = z.strictObject({
  mode: z
    .enum(["on", "off"], { error: "expected on or off" })
    .optional()
    .describe("on, off; by default on where plain HTTP is seen."),
  allow: z
    .array(z.string().refine(isHostName, { error: "expected a host name without a port" }))
    .max(MAX_ENTRIES)
    .optional()
    .describe("Host names besides public_addr that may lead to the app."),
});

function isHostName(text: string): boolean {
  return isDnsSubdomain1123(text.toLowerCase().replace(/\.$/, ""));
}

export const appSpecSchema = z
  .strictObject({
    uri: z
      .string({ error: "an app needs a uri such as tcp://localhost:5432" })
      .describe("Where the agent finds the app: tcp://HOST:PORT, or tcp://HOST with tcp_ports."),
    public_addr: appPublicAddr
      .optional()
      .describe("The DNS name by which the app is reached. Absent: its name below the proxy's."),
    tcp_ports: z.array(tcpPort).max(MAX_ENTRIES).optional().describe("The ports of a multi-port TCP app."),
    http_host_check: httpHostCheck
      .optional()
      .describe("Protection of a TCP app that speaks plain HTTP against web pages that use its address."),
    dynamic_labels: z
      .union([z.record(text, command), z.array(command.extend({ name: text.describe("Name of the label.") }))], {
        error: "expected a map from label name to {command, period}",
      })
      .optional()
      .describe("Labels whose values a command prints, on the agent. A map by label, or a list with name."),
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
  sub_kind: text.optional().describe("Accepted for compatibility, without effect."),
  version: literal("version", "v3"),
  metadata: metadata(appName.describe("Name of the app, a DNS label.")),
  spec: appSpecSchema,
});

export type App = z.infer<typeof appSchema>;
export type AppSpec = z.infer<typeof appSpecSchema>;

/** What the agent's own check of the app says. Field names are Teleport's. */
const targetHealth = z.strictObject({
  address: text.optional().describe("HOST:PORT that was dialled."),
  protocol: text.optional().describe("TCP."),
  status: z.enum(["healthy", "unhealthy", "unknown"]).describe("Whether the app took a connection."),
  transition_timestamp: timestamp.optional().describe("Since when."),
  transition_reason: text.optional().describe("What changed it."),
  transition_error: text.optional().describe("Why the app was not reached."),
  message: text.optional().describe("The same for people."),
});
export type TargetHealth = z.infer<typeof targetHealth>;

/** One agent serves one app; its name is `<host_id>.<app name>`, and it lapses with the agent's heartbeat. */
export const appServerSchema = z
  .strictObject({
    kind: literal("kind", "app_server"),
    version: literal("version", "v3"),
    metadata: metadata(text.min(1).describe("The host's uuid, a dot and the app's name.")),
    spec: z.strictObject({
      version: text.describe("Version of the agent."),
      hostname: text.describe("Name of the host that it runs on."),
      host_id: text.min(1).describe("The uuid of that host."),
      app: appSchema.describe("The app as it is served, with its address and all labels."),
    }),
    status: z
      .strictObject({ target_health: targetHealth.optional().describe("What the agent's own check of the app says.") })
      .optional()
      .describe("Written by the agent."),
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
