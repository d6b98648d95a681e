import { randomUUID } from "node:crypto";
import { z } from "zod";
import { presetRoles, presetRules, upgradedPreset } from "../access/mod.ts";
import {
  AUTH_PREFERENCE_NAME,
  type ClusterAuthPreference,
  type ClusterNetworkingConfig,
  formatDuration,
  isDnsSubdomain1123,
  type LockingMode,
  NETWORKING_CONFIG_NAME,
  type SecondFactor,
} from "../api/mod.ts";
import type { Logger } from "../base/mod.ts";
import type { Backend } from "../storage/mod.ts";
import { Documents, versioned } from "./documents.ts";
import { ORIGIN_LABEL } from "./origin.ts";
import type { ResourceStore } from "./store.ts";

const clusterSchema = versioned({ name: z.string() });
const doneSchema = versioned({ rules: z.array(z.string()).optional() });

/** The cluster's name is settled at the first start: it is in every certificate. */
export async function clusterName(
  backend: Backend,
  o: { configured: string | undefined; nodename: string | undefined; log: Logger },
): Promise<string> {
  const documents = new Documents(backend, "cluster", clusterSchema);
  const stored = (await documents.get("name"))?.value.name;
  if (stored === undefined) {
    const wanted = (o.configured ?? o.nodename ?? "").toLowerCase();
    const name = isDnsSubdomain1123(wanted) ? wanted : randomUUID();
    await documents.create(["name"], { v: 1, name });
    return name;
  }
  if (o.configured !== undefined && o.configured !== stored) {
    o.log.warn(
      { configured: o.configured, cluster: stored },
      "auth_service.cluster_name counts at the first start only; the cluster keeps its name",
    );
  }
  return stored;
}

/**
 * Makes the preset roles, once: one that an administrator has deleted does not
 * come back. Those of an older version get the rules that came since, each once.
 */
export async function settlePresets(backend: Backend, store: ResourceStore): Promise<void> {
  const done = new Documents(backend, "done", doneSchema);
  const before = await done.get("presets");
  const offered = new Set(before?.value.rules ?? []);
  for (const role of presetRoles()) {
    const stored = await store.find("role", role.metadata.name);
    const wanted = stored === undefined ? role : upgradedPreset(stored, offered);
    if (wanted !== undefined && (stored !== undefined || before === undefined)) await store.upsert(wanted);
  }
  const rules = presetRules();
  if (rules.some((rule) => !offered.has(rule))) await done.put(["presets"], { v: 1, rules });
}

export interface AuthenticationConfig {
  readonly secondFactors: readonly SecondFactor[];
  readonly webauthnRpId?: string | undefined;
  readonly defaultSessionTtlMs?: number | undefined;
  readonly messageOfTheDay?: string | undefined;
  readonly lockingMode?: LockingMode | undefined;
  /** Whether passwords are a way to log in, and passkeys without one. */
  readonly localAuth?: boolean | undefined;
  readonly passwordless?: boolean | undefined;
  readonly requireSessionMfa?: boolean | undefined;
  readonly disconnectExpiredCert?: boolean | undefined;
  /** The configuration file sets it, so it counts at every start. */
  readonly fromFile?: boolean | undefined;
}

/** What the file says is written at each start; the defaults only where there is nothing of the administrator's. */
async function settle(store: ResourceStore, wanted: ClusterAuthPreference | ClusterNetworkingConfig): Promise<void> {
  const stored = await store.find(wanted.kind, wanted.metadata.name);
  const fromFile = [stored, wanted].some((each) => each?.metadata.labels?.[ORIGIN_LABEL] === "config-file");
  if (stored === undefined || fromFile) await store.upsert(wanted);
}

export async function settleAuthPreference(store: ResourceStore, config: AuthenticationConfig): Promise<void> {
  await settle(store, preferenceOf(config));
  const { messageOfTheDay } = config;
  const stored = await store.get("cluster_auth_preference", AUTH_PREFERENCE_NAME);
  // The message alone does not make the rest the file's.
  const isDynamic = stored.metadata.labels?.[ORIGIN_LABEL] === "dynamic";
  if (!messageOfTheDay || isDynamic || stored.spec.message_of_the_day === messageOfTheDay) return;
  await store.upsert({ ...stored, spec: { ...stored.spec, message_of_the_day: messageOfTheDay } });
}

/** `fromFile`: what the configuration file sets; the defaults bound nothing. */
export async function settleNetworking(
  store: ResourceStore,
  fromFile: ClusterNetworkingConfig["spec"] | undefined,
): Promise<void> {
  await settle(store, {
    kind: "cluster_networking_config",
    version: "v2",
    metadata: { name: NETWORKING_CONFIG_NAME, labels: originOf(fromFile !== undefined) },
    spec: fromFile ?? {},
  });
}

function originOf(fromFile: boolean): Record<string, string> {
  return { [ORIGIN_LABEL]: fromFile ? "config-file" : "defaults" };
}

function preferenceOf(config: AuthenticationConfig): ClusterAuthPreference {
  const { webauthnRpId, defaultSessionTtlMs, messageOfTheDay, lockingMode } = config;
  const { localAuth, passwordless, requireSessionMfa, disconnectExpiredCert } = config;
  return {
    kind: "cluster_auth_preference",
    version: "v2",
    metadata: { name: AUTH_PREFERENCE_NAME, labels: originOf(config.fromFile === true) },
    spec: {
      type: "local",
      second_factors: [...config.secondFactors],
      ...(webauthnRpId !== undefined && { webauthn: { rp_id: webauthnRpId } }),
      ...(defaultSessionTtlMs !== undefined && { default_session_ttl: formatDuration(defaultSessionTtlMs) }),
      ...(lockingMode !== undefined && { locking_mode: lockingMode }),
      ...(localAuth !== undefined && { allow_local_auth: localAuth }),
      ...(passwordless !== undefined && { allow_passwordless: passwordless }),
      ...(requireSessionMfa !== undefined && { require_session_mfa: requireSessionMfa }),
      ...(disconnectExpiredCert !== undefined && { disconnect_expired_cert: disconnectExpiredCert }),
      ...(messageOfTheDay && { message_of_the_day: messageOfTheDay }),
    },
  };
}
