import { z } from "zod";
import { appPublicAddr } from "./app.ts";
import { durationText, literal, metadata, text, texts, timestamp, unenforced, yesOrNo } from "./common.ts";

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
    cluster: text,
    expires: timestamp,
    /** Base64 of 32 octets; only in what the role Proxy is shown. */
    route_key: base64Of32.optional(),
  }),
});

export type AppSession = z.infer<typeof appSessionSchema>;
export const routeKey = base64Of32;
