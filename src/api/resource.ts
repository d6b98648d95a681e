import { z } from "zod";
import { malformed } from "../base/mod.ts";
import { appSchema, appServerSchema } from "./app.ts";
import {
  AUTH_PREFERENCE_NAME,
  appSessionSchema,
  certAuthoritySchema,
  clusterAuthPreferenceSchema,
  proxySchema,
} from "./cluster.ts";
import { fieldType } from "./field-type.ts";
import { lockSchema } from "./lock.ts";
import { clusterNetworkingConfigSchema, NETWORKING_CONFIG_NAME } from "./networking.ts";
import { type Expression, type Fault, parseExpression, type RuleSubject, ruleLanguage } from "./predicate/mod.ts";
import { type Rule, roleSchemaWith } from "./role.ts";
import { tokenSchema } from "./token.ts";
import { remoteClusterSchema, trustedClusterSchema } from "./trust.ts";
import { userSchema } from "./user.ts";
import { VNET_CONFIG_NAME, vnetConfigSchema } from "./vnet-config.ts";

export const roleSchema = roleSchemaWith((rule, where) => parseWhere(rule, where));

/** Every kind, with its one schema. */
export const RESOURCE_SCHEMAS = {
  vnet_config: vnetConfigSchema,
  app: appSchema,
  app_server: appServerSchema,
  user: userSchema,
  role: roleSchema,
  token: tokenSchema,
  lock: lockSchema,
  cluster_auth_preference: clusterAuthPreferenceSchema,
  trusted_cluster: trustedClusterSchema,
  remote_cluster: remoteClusterSchema,
  cluster_networking_config: clusterNetworkingConfigSchema,
  cert_authority: certAuthoritySchema,
  proxy: proxySchema,
  app_session: appSessionSchema,
} as const;

/** What each kind is, for people. */
export const KIND_DESCRIPTIONS: Readonly<Record<Kind, string>> = {
  vnet_config: "What VNet does on the computers of all users: its addresses and DNS zones. A cluster has one.",
  app: "An application to be served by the agents that choose it by its labels (app_service.resources).",
  app_server: "One agent's announcement of one app that it serves. Made by the agent, lapses with it.",
  user: "A person who may log in.",
  role: "What its users may reach and do. Deny wins over allow; what nobody allows is denied.",
  token: "Permission for hosts to join the cluster. Its name is its secret.",
  lock: "Ends what it targets, at Auth and at every agent, open connections included, until it expires or is deleted.",
  cluster_auth_preference: "How users log in. A cluster has one.",
  cluster_networking_config: "What bounds connections of all users. A cluster has one.",
  trusted_cluster: "In a leaf: the root cluster whose users may come, and what their roles are worth here.",
  remote_cluster: "In a root: a leaf cluster that trusts it.",
  cert_authority: "Certificates of one authority of the cluster; never its private key.",
  proxy: "One running Proxy Service. Made by itself, lapses with it.",
  app_session: "A user's permission to reach one app for a while.",
};

export type Kind = keyof typeof RESOURCE_SCHEMAS;
/** What rules speak of: kinds of resources, and `event` for the audit log. */
export type RuleKind = Kind | "event";
export type ResourceOf<K extends Kind> = z.infer<(typeof RESOURCE_SCHEMAS)[K]>;
export type Resource = { [K in Kind]: ResourceOf<K> }[Kind];

export const KINDS = Object.keys(RESOURCE_SCHEMAS) as readonly Kind[];

/**
 * The condition of a role's rule. Of `resource` it knows the fields of the
 * kinds that the rule speaks of; of kinds that are Teleport's alone, any.
 */
export function parseWhere({ resources }: Pick<Rule, "resources">, where: string): Expression<RuleSubject> | Fault {
  const kinds = resources.includes("*") ? KINDS : resources.filter((kind) => kind !== "event");
  const schemas = kinds.map((kind) => (isKind(kind) ? RESOURCE_SCHEMAS[kind] : z.unknown()));
  const typeOf = (path: readonly string[]) =>
    schemas.length > 0 ? fieldType(schemas, path) : malformed("an event of the audit log is no resource");
  const sessions = resources.some((kind) => SESSION_KINDS.includes(kind));
  return parseExpression(where, ruleLanguage({ fieldType: typeOf, sessions }));
}

/** Teleport's kinds of sessions in a terminal or on a desktop. */
const SESSION_KINDS: readonly string[] = ["session", "ssh_session", "session_tracker"];

/** What `tctl create` takes; the others are the cluster's own. */
export const CREATABLE_KINDS: readonly Kind[] = [
  "vnet_config",
  "app",
  "user",
  "role",
  "token",
  "lock",
  "cluster_auth_preference",
  "trusted_cluster",
  "cluster_networking_config",
];

/** Kinds of which a cluster has one, under this name. */
export const SINGLETONS: Readonly<Partial<Record<Kind, string>>> = {
  vnet_config: VNET_CONFIG_NAME,
  cluster_auth_preference: AUTH_PREFERENCE_NAME,
  cluster_networking_config: NETWORKING_CONFIG_NAME,
};

const ALIASES: Readonly<Record<string, Kind>> = {
  vnetconfig: "vnet_config",
  vnet_configs: "vnet_config",
  apps: "app",
  app_servers: "app_server",
  users: "user",
  roles: "role",
  tokens: "token",
  locks: "lock",
  cap: "cluster_auth_preference",
  tc: "trusted_cluster",
  trusted_clusters: "trusted_cluster",
  rc: "remote_cluster",
  remote_clusters: "remote_cluster",
  netconfig: "cluster_networking_config",
  cas: "cert_authority",
  ca: "cert_authority",
  cert_authorities: "cert_authority",
  proxies: "proxy",
  app_sessions: "app_session",
};

/** The kind that a person means by `roles` or `cap`. */
export function parseKind(word: string): Kind | undefined {
  const plain = word.toLowerCase();
  return KINDS.find((kind) => kind === plain) ?? (Object.hasOwn(ALIASES, plain) ? ALIASES[plain] : undefined);
}

export function isKind(word: unknown): word is Kind {
  return typeof word === "string" && Object.hasOwn(RESOURCE_SCHEMAS, word);
}

export const kindSchema = z.enum(KINDS as [Kind, ...Kind[]]);

export const resourceSchema: z.ZodType<Resource> = z.discriminatedUnion("kind", [
  vnetConfigSchema,
  appSchema,
  appServerSchema,
  userSchema,
  roleSchema,
  tokenSchema,
  lockSchema,
  clusterAuthPreferenceSchema,
  trustedClusterSchema,
  remoteClusterSchema,
  clusterNetworkingConfigSchema,
  certAuthoritySchema,
  proxySchema,
  appSessionSchema,
]);
