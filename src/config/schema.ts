import { z } from "zod";
import {
  clusterNetworkingConfigSchema,
  isDnsSubdomain1123,
  LOCKING_MODES,
  labelConditions,
  SECOND_FACTORS,
  type SecondFactor,
  type TokenRole,
  tokenRoles,
} from "../api/mod.ts";
import { addressRange, durationMs, flag, listenAddr, oneOrMore, publicAddr, serverAddr } from "./fields.ts";
import { fileApp } from "./file-app.ts";
import { type ValueSource, valueSource } from "./value-source.ts";

export const AUTH_PORT = 3025;
export const WEB_PORT = 3080;
export const DEFAULT_DATA_DIR = "/var/lib/teleport";

const absolutePath = z.string().refine((path) => path.startsWith("/"), { error: "expected an absolute path" });

const SEVERITIES = {
  debug: "debug",
  trace: "debug",
  info: "info",
  warn: "warn",
  warning: "warn",
  error: "error",
  err: "error",
} as const;

const severity = z.string().transform((value, context) => {
  const word = value.toLowerCase();
  if (Object.hasOwn(SEVERITIES, word)) return SEVERITIES[word as keyof typeof SEVERITIES];
  context.addIssue({ code: "custom", message: "expected one of DEBUG, INFO, WARN, ERROR" });
  return z.NEVER;
});

const caPin = z.string().refine((pin) => pin === "" || pin.startsWith("/") || /^sha256:[0-9a-f]{64}$/.test(pin), {
  error: "expected sha256: and 64 hexadecimal digits, or an absolute path to a file that holds them",
});

const teleport = z
  .strictObject({
    nodename: z.string().optional(),
    data_dir: absolutePath.optional(),
    pid_file: z.string().optional(),
    auth_token: z.string().optional(),
    join_params: z
      .strictObject({
        method: z.literal("token", { error: 'only method "token" is supported' }),
        token_name: z.string().min(1),
      })
      .optional(),
    ca_pin: oneOrMore(caPin).optional(),
    auth_server: serverAddr(AUTH_PORT).optional(),
    auth_servers: z.never({ error: "version v3 has auth_server (one address) instead" }).optional(),
    proxy_server: serverAddr(WEB_PORT).optional(),
    diag_addr: z.union([z.literal(""), listenAddr(3000)]).optional(),
    log: z
      .strictObject({
        output: z
          .string()
          .refine((value) => ["stderr", "stdout", "out", "err", ""].includes(value) || value.startsWith("/"), {
            error: "expected stderr, stdout or an absolute path",
          })
          .optional(),
        severity: severity.optional(),
        format: z.strictObject({ output: z.enum(["text", "json"]).optional() }).optional(),
      })
      .optional(),
    storage: z
      .strictObject({
        type: z.enum(["sqlite", "dir"], { error: 'only type "sqlite" is supported' }).optional(),
        path: absolutePath.optional(),
        audit_retention_period: durationMs.optional(),
      })
      .optional(),
  })
  .superRefine((section, context) => {
    if (section.auth_token && section.join_params) {
      context.addIssue({
        code: "custom",
        path: ["auth_token"],
        message: "give either auth_token or join_params, not both",
      });
    }
  });

const LEGACY_SECOND_FACTOR: Readonly<Record<string, readonly SecondFactor[]>> = {
  off: [],
  otp: ["otp"],
  webauthn: ["webauthn"],
  on: ["otp", "webauthn"],
};

const authentication = z
  .strictObject({
    type: z.literal("local", { error: 'only type "local" is supported' }).optional(),
    second_factors: z.array(z.enum(SECOND_FACTORS)).optional(),
    second_factor: z
      .union([z.boolean().transform((on) => (on ? "on" : "off")), z.string()])
      .transform((value, context): readonly SecondFactor[] => {
        const factors = LEGACY_SECOND_FACTOR[value];
        if (factors !== undefined && Object.hasOwn(LEGACY_SECOND_FACTOR, value)) return factors;
        context.addIssue({ code: "custom", message: "expected one of off, otp, webauthn, on; or use second_factors" });
        return z.NEVER;
      })
      .optional(),
    webauthn: z.strictObject({ rp_id: z.string() }).optional(),
    default_session_ttl: durationMs.optional(),
    locking_mode: z.enum(LOCKING_MODES).optional(),
    local_auth: flag.optional(),
    passwordless: flag.optional(),
    require_session_mfa: flag.optional(),
  })
  .superRefine((section, context) => {
    if (section.second_factor !== undefined && section.second_factors !== undefined) {
      context.addIssue({
        code: "custom",
        path: ["second_factor"],
        message: "give either second_factor or second_factors",
      });
    }
  });

export interface StaticTokenSource {
  readonly roles: readonly TokenRole[];
  readonly token: ValueSource;
}

/** `proxy,app:SECRET`, or an absolute path instead of the secret. */
const staticToken = z.string().transform((value, context): StaticTokenSource => {
  const colon = value.indexOf(":");
  const checked = tokenRoles.safeParse(value.slice(0, Math.max(colon, 0)).split(","));
  const token = value.slice(colon + 1).trim();
  if (colon > 0 && token !== "" && checked.success) return { roles: checked.data, token: valueSource(token) };
  const unknown = colon > 0 && token !== "" ? checked.error?.issues[0]?.message : undefined;
  context.addIssue({ code: "custom", message: unknown ?? "expected roles and a token, as in proxy,app:SECRET" });
  return z.NEVER;
});

/** Of `cluster_networking_config`: given here they count at every start. */
const { client_idle_timeout, link_resume_window, link_transports, proxy_listener_mode } =
  clusterNetworkingConfigSchema.shape.spec.shape;

const authService = z.strictObject({
  enabled: flag.optional(),
  cluster_name: z.string().refine(isDnsSubdomain1123, { error: "expected a lower-case DNS name" }).optional(),
  listen_addr: listenAddr(AUTH_PORT).optional(),
  public_addr: oneOrMore(publicAddr).optional(),
  authentication: authentication.optional(),
  tokens: z.array(staticToken).optional(),
  message_of_the_day: z.string().optional(),
  disconnect_expired_cert: flag.optional(),
  client_idle_timeout,
  link_resume_window,
  link_transports,
  proxy_listener_mode,
});

const proxyService = z.strictObject({
  enabled: flag.optional(),
  web_listen_addr: listenAddr(WEB_PORT).optional(),
  public_addr: oneOrMore(publicAddr).optional(),
  tunnel_public_addr: oneOrMore(publicAddr).optional(),
  https_keypairs: z.array(z.strictObject({ key_file: absolutePath, cert_file: absolutePath })).optional(),
  https_key_file: absolutePath.optional(),
  https_cert_file: absolutePath.optional(),
  proxy_protocol: flag.optional(),
  // Ours: Teleport believes whoever connects.
  proxy_protocol_from: oneOrMore(addressRange).optional(),
});

const appService = z.strictObject({
  enabled: flag.optional(),
  resources: z.array(z.strictObject({ labels: labelConditions })).optional(),
  apps: z
    .array(fileApp)
    .superRefine((apps, context) => {
      const names = apps.map((app) => app?.metadata?.name);
      for (const [i, name] of names.entries()) {
        const first = names.indexOf(name);
        if (name === undefined || first === i) continue;
        context.addIssue({
          code: "custom",
          path: [i, "name"],
          message: `the name "${name}" is already used by apps[${first}]`,
        });
      }
    })
    .optional(),
});

/** Only whether it is on: the rest of it is Teleport's. */
const sshService = z.looseObject({
  enabled: flag.refine((on) => !on, { error: 'ssh_service is not supported; write "enabled: no"' }).optional(),
});

export const fileSchema = z.strictObject({
  version: z.literal("v3", { error: 'only version "v3" of teleport.yaml is supported' }),
  teleport: teleport.optional(),
  auth_service: authService.optional(),
  proxy_service: proxyService.optional(),
  app_service: appService.optional(),
  ssh_service: sshService.optional(),
});

export type ConfigFile = z.infer<typeof fileSchema>;
