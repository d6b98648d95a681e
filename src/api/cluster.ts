import { z } from "zod";
import { appPublicAddr } from "./app.ts";
import { durationText, literal, metadata, text, texts, timestamp, unenforced, yesOrNo } from "./common.ts";
import { roleMapSchema } from "./trust.ts";

export const AUTH_PREFERENCE_NAME = "cluster-auth-preference";

export const SECOND_FACTORS = ["otp", "webauthn", "sso"] as const;
export type SecondFactor = (typeof SECOND_FACTORS)[number];

/** What an agent does with an old view of the locks: refuses everybody, or goes by it. */
export const LOCKING_MODES = ["best_effort", "strict"] as const;
export type LockingMode = (typeof LOCKING_MODES)[number];

export const clusterAuthPreferenceSchema = z.strictObject({
  kind: literal("kind", "cluster_auth_preference"),
  version: literal("version", "v2"),
  metadata: metadata(literal("name", AUTH_PREFERENCE_NAME)),
  spec: z.strictObject({
    type: z.literal("local", { error: 'only type "local" is supported' }).optional(),
    second_factors: z.array(z.enum(SECOND_FACTORS)).optional(),
    allow_local_auth: z.boolean().optional(),
    default_session_ttl: durationText.optional(),
    message_of_the_day: text.optional(),
    webauthn: z.strictObject({ rp_id: text }).optional(),
    require_session_mfa: unenforced(false, "off", "no"),
    disconnect_expired_cert: yesOrNo.optional(),
    locking_mode: z.enum(["", ...LOCKING_MODES]).optional(),
    allow_passwordless: z.boolean().optional(),
    allow_headless: z.boolean().optional(),
    signature_algorithm_suite: text.optional(),
  }),
});

export type ClusterAuthPreference = z.infer<typeof clusterAuthPreferenceSchema>;

const caCertificate = z.strictObject({ cert: text });

export const ROTATION_PHASES = ["standby", "init", "update_clients", "update_servers", "rollback"] as const;
export type RotationPhase = (typeof ROTATION_PHASES)[number];

/** Where the replacement of an authority's key stands. Absent: the key is the first one. */
export const caRotationSchema = z.strictObject({
  state: z.enum(["standby", "in_progress"]),
  phase: z.enum(ROTATION_PHASES),
  mode: z.enum(["manual", "auto"]).optional(),
  current_id: text.optional(),
  started: timestamp.optional(),
  grace_period: durationText.optional(),
  last_rotated: timestamp.optional(),
  /** When an automatic rotation comes to each phase that is ahead. */
  schedule: z
    .strictObject({
      update_clients: timestamp.optional(),
      update_servers: timestamp.optional(),
      standby: timestamp.optional(),
    })
    .optional(),
});
export type CaRotation = z.infer<typeof caRotationSchema>;

/** Certificates only: private keys never cross the API. */
export const certAuthoritySchema = z.strictObject({
  kind: literal("kind", "cert_authority"),
  version: literal("version", "v2"),
  metadata: metadata(text.min(1)),
  spec: z.strictObject({
    type: z.enum(["user", "host"]),
    cluster_name: text.min(1),
    active_keys: z.array(caCertificate),
    additional_trusted_keys: z.array(caCertificate),
    rotation: caRotationSchema.optional(),
    /** Of a root's user authority, in a leaf: what its users' roles are worth here. */
    role_map: roleMapSchema.optional(),
  }),
});

export type CertAuthority = z.infer<typeof certAuthoritySchema>;

/** One Proxy instance; its name is the host's uuid, and it lapses with its heartbeat. */
export const proxySchema = z.strictObject({
  kind: literal("kind", "proxy"),
  version: literal("version", "v1"),
  metadata: metadata(text.min(1)),
  spec: z.strictObject({
    hostname: text,
    version: text,
    /** `host:port`, for clients. */
    public_addrs: texts,
    /** `host:port` of this very instance, for agents. */
    tunnel_public_addr: text,
    /** Leaf clusters whose proxies are connected to this one. */
    leaf_clusters: texts.optional(),
  }),
});

export type Proxy = z.infer<typeof proxySchema>;

const base64Of32 = z.base64().length(44);
export const sessionId = z.string().regex(/^[0-9a-f]{32}$/, "expected 32 hexadecimal digits");

/** A user's permission to reach one app for a while; its name is the session id. */
export const appSessionSchema = z.strictObject({
  kind: literal("kind", "app_session"),
  version: literal("version", "v1"),
  metadata: metadata(sessionId),
  spec: z.strictObject({
    user: text,
    app: text,
    public_addr: appPublicAddr,
    /** The app's own. */
    cluster: text,
    /** The root cluster that issued it, where that is not the app's own. */
    root: text.optional(),
    expires: timestamp,
    /** Base64 of 32 octets; only in what the role Proxy is shown. */
    route_key: base64Of32.optional(),
  }),
});

export type AppSession = z.infer<typeof appSessionSchema>;
export const routeKey = base64Of32;
