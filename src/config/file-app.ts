import { z } from "zod";
import { type App, appSchema, check } from "../api/mod.ts";
import { flag } from "./fields.ts";

/** Marks what came from teleport.yaml; `tctl` cannot delete it for long. */
const ORIGIN_LABEL = { "teleport.dev/origin": "config-file" };

const fields = z.strictObject({
  name: z.unknown(),
  description: z.unknown().optional(),
  uri: z.unknown(),
  public_addr: z.unknown().optional(),
  labels: z.record(z.string(), z.unknown()).optional(),
  commands: z.unknown().optional(),
  tcp_ports: z.unknown().optional(),
  http_host_check: z.unknown().optional(),
  insecure_skip_verify: flag.optional(),
  rewrite: z.unknown().optional(),
  cloud: z.unknown().optional(),
  aws: z.unknown().optional(),
  cors: z.unknown().optional(),
  tls: z.unknown().optional(),
  required_apps: z.unknown().optional(),
  use_any_proxy_public_addr: flag.optional(),
});

/** Where a key of the file went in the resource. */
const FILE_KEYS: Readonly<Record<string, string>> = { dynamic_labels: "commands", required_app_names: "required_apps" };

/** One entry of `app_service.apps` as the resource it becomes; the resource's own rules apply. */
export const fileApp = fields.transform((entry, context): App => {
  const checked = check<App>(appSchema, toResource(entry));
  if ("value" in checked) return checked.value;
  for (const issue of checked.issues) {
    const [, key, ...rest] = issue.path; // without "metadata" or "spec"
    const path = key === undefined ? [] : [FILE_KEYS[String(key)] ?? key, ...rest];
    context.addIssue({ code: "custom", path, message: issue.message });
  }
  return z.NEVER;
});

function toResource(entry: z.infer<typeof fields>): unknown {
  const { name, description, labels, commands, required_apps, ...spec } = entry;
  return {
    kind: "app",
    version: "v3",
    metadata: { name, ...(description === undefined ? {} : { description }), labels: { ...labels, ...ORIGIN_LABEL } },
    spec: { ...spec, dynamic_labels: commands, required_app_names: required_apps },
  };
}
