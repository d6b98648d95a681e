import { z } from "zod";
import { appPublicAddr } from "./app.ts";
import { durationText, literal, metadata, sessionMfa, text, texts, timestamp, yesOrNo } from "./common.ts";
import { roleMapSchema } from "./trust.ts";

export const AUTH_PREFERENCE_NAME = "cluster-auth-preference";

export const SECOND_FACTORS = ["otp", "webauthn", "sso"] as const;
export type SecondFactor = (typeof SECOND_FACTORS)[number];

export const SECOND_FACTOR_WORDS = ["off", "otp", "webauthn", "on", "optional"] as const;

/** What an agent does with an old view of the locks: refuses everybody, or goes by it. */
export const LOCKING_MODES = ["best_effort", "strict"] as const;
export type LockingMode = (typeof LOCKING_MODES)[number];

export const clusterAuthPreferenceSchema = z.strictObject({
  kind: literal("kind", "cluster_auth_preference"),
  version: literal("version", "v2"),
  metadata: metadata(literal("name", AUTH_PREFERENCE_NAME)),
  spec: z.strictObject({
    type: z
      .literal("local", { error: 'only type "local" is supported' })
      .optional()
      .describe("How users log in; this version has passwords kept by the cluster, which is local."),
    second_factors: z
      .array(z.enum(SECOND_FACTORS))
      .optional()
      .describe("Second factors that a login needs one of; an empty list: the password alone. Absent: otp."),
    second_factor: z
      .enum(SECOND_FACTOR_WORDS)
      .optional()
      .describe("The older single word for the same; second_factors counts where both are given."),
    allow_local_auth: z.boolean().optional().describe("Whether anybody may log in with a password; true."),
    default_session_ttl: durationText
      .optional()
      .describe("How long a login lasts where neither the user nor a role says; 12h."),
    message_of_the_day: text.optional().describe("Shown before a login."),
    webauthn: z
      .strictObject({ rp_id: text.describe("Host name of the proxy, without a port.") })
      .optional()
      .describe("WebAuthn: rp_id is the host name of the proxy, and must never change."),
    require_session_mfa: sessionMfa.optional().describe("Whether each app session needs a second factor."),
    disconnect_expired_cert: yesOrNo
      .optional()
      .describe("Whether connections end with the login. They always do; this says so by name."),
    locking_mode: z
      .enum(["", ...LOCKING_MODES])
      .optional()
      .describe("What an agent does with an old view of the locks: best_effort goes by it, strict refuses everybody."),
    allow_passwordless: z
      .boolean()
      .optional()
      .describe(
        "Whether a passkey that verifies its user is a login without a password; true, where webauthn is accepted.",
      ),
    allow_headless: z.boolean().optional().describe("Accepted for compatibility, without effect."),
    signature_algorithm_suite: text.optional().describe("Accepted for compatibility, without effect."),
  }),
});

export type ClusterAuthPreference = z.infer<typeof clusterAuthPreferenceSchema>;

const caCertificate = z.strictObject({ cert: text.describe("PEM.") });

export const ROTATION_PHASES = ["standby", "init", "update_clients", "update_servers", "rollback"] as const;
export type RotationPhase = (typeof ROTATION_PHASES)[number];

/** Where the replacement of an authority's key stands. Absent: the key is the first one. */
export const caRotationSchema = z.strictObject({
  state: z.enum(["standby", "in_progress"]).describe("Whether a replacement of the key is under way."),
  phase: z
    .enum(ROTATION_PHASES)
    .describe(
      "How far it is: init trusts the new key, update_clients signs by it, update_servers serves by it, standby drops the old.",
    ),
  mode: z.enum(["manual", "auto"]).optional().describe("Whether an administrator moves it on, or time does."),
  current_id: text.optional().describe("Identifies this rotation."),
  started: timestamp.optional().describe("When it began."),
  grace_period: durationText.optional().describe("How long an automatic rotation takes in all."),
  last_rotated: timestamp.optional().describe("When the last one was completed."),
  schedule: z
    .strictObject({
      update_clients: timestamp.optional().describe("When clients get certificates by the new key."),
      update_servers: timestamp.optional().describe("When servers do."),
      standby: timestamp.optional().describe("When the old key is dropped."),
    })
    .optional()
    .describe("When an automatic rotation comes to each phase that is ahead."),
});
export type CaRotation = z.infer<typeof caRotationSchema>;

/** Certificates only: private keys never cross the API. */
export const certAuthoritySchema = z.strictObject({
  kind: literal("kind", "cert_authority"),
  version: literal("version", "v2"),
  metadata: metadata(text.min(1).describe("The type and the cluster.")),
  spec: z.strictObject({
    type: z.enum(["user", "host"]).describe("Whom its certificates are for: user or host."),
    cluster_name: text.min(1).describe("The cluster that it belongs to."),
    active_keys: z.array(caCertificate).describe("Certificates of the keys that sign now."),
    additional_trusted_keys: z
      .array(caCertificate)
      .describe("Certificates that are trusted besides, while a key is replaced."),
    rotation: caRotationSchema.optional().describe("Where the replacement of the key stands."),
    role_map: roleMapSchema
      .optional()
      .describe("Of a root's user authority, in a leaf: what its users' roles are worth here."),
  }),
});

export type CertAuthority = z.infer<typeof certAuthoritySchema>;

/** One Proxy instance; its name is the host's uuid, and it lapses with its heartbeat. */
export const proxySchema = z.strictObject({
  kind: literal("kind", "proxy"),
  version: literal("version", "v1"),
  metadata: metadata(text.min(1).describe("The host's uuid.")),
  spec: z.strictObject({
    hostname: text.describe("Name of the host that it runs on."),
    version: text.describe("Version of the program."),
    public_addrs: texts.describe("Addresses for clients, HOST:PORT."),
    tunnel_public_addr: text.describe("Address of this very instance for agents, HOST:PORT."),
    leaf_clusters: texts.optional().describe("Leaf clusters whose proxies are connected to this one."),
  }),
});

export type Proxy = z.infer<typeof proxySchema>;

const base64Of32 = z.base64().length(44);
export const sessionId = z.string().regex(/^[0-9a-f]{32}$/, "expected 32 hexadecimal digits");

/** A user's permission to reach one app for a while; its name is the session id. */
export const appSessionSchema = z.strictObject({
  kind: literal("kind", "app_session"),
  version: literal("version", "v1"),
  metadata: metadata(sessionId.describe("The session id.")),
  spec: z.strictObject({
    user: text.describe("Whose it is."),
    app: text.describe("The app that it leads to."),
    public_addr: appPublicAddr.describe("The address of that app."),
    cluster: text.describe("The cluster that serves the app."),
    root: text.optional().describe("The root cluster that issued it, where that is not the app's own."),
    expires: timestamp.describe("When it ends: with the login that made it."),
    mfa_device: text.optional().describe("The MFA device that was shown for it, by its uuid."),
    route_key: base64Of32.optional().describe("Base64 of 32 octets; only in what the role Proxy is shown."),
  }),
});

export type AppSession = z.infer<typeof appSessionSchema>;
export const routeKey = base64Of32;
