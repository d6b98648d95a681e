/**
 * The cluster's language: resources, their YAML and JSON, audit events, and
 * the contract of every call. One schema each, which parses, validates and
 * types. Performs no I/O and decides nothing about who may do what.
 */

export {
  type App,
  type AppServer,
  type AppSpec,
  appName,
  appProtocol,
  appPublicAddr,
  appSchema,
  appServerName,
  appServerSchema,
  appSpecSchema,
  healthOf,
  type TargetHealth,
  tcpTarget,
} from "./app.ts";
export { type AppUri, parseAppUri } from "./app-uri.ts";
export { EVENT_DESCRIPTIONS, NOT_CAUSED } from "./audit-descriptions.ts";
export {
  AUDIT_CODES,
  type AuditEvent,
  type AuditEventOf,
  type AuditEventType,
  auditEventSchema,
} from "./audit-event.ts";
export {
  type AppSession,
  AUTH_PREFERENCE_NAME,
  appSessionSchema,
  type CaRotation,
  type CertAuthority,
  type ClusterAuthPreference,
  certAuthoritySchema,
  clusterAuthPreferenceSchema,
  LOCKING_MODES,
  type LockingMode,
  type Proxy,
  proxySchema,
  ROTATION_PHASES,
  type RotationPhase,
  SECOND_FACTOR_WORDS,
  SECOND_FACTORS,
  type SecondFactor,
} from "./cluster.ts";
export type { AppView, ClusterView } from "./cluster-view.ts";
export { durationText, resourceName, timestamp, tokenName } from "./common.ts";
export { parseDocuments } from "./documents.ts";
export { formatDuration, parseDuration } from "./duration.ts";
export {
  AccessDeniedError,
  AlreadyExistsError,
  BadInputError,
  formatProblem,
  LimitExceededError,
  MfaRequiredError,
  NotFoundError,
  type Problem,
  RemoteError,
  RevisionMismatchError,
  UnauthenticatedError,
  UnavailableError,
  VersionMismatchError,
} from "./errors.ts";
export { type Explanation, explain, type FieldExplanation, unknownKind } from "./explain.ts";
export { type JsonSchema, jsonSchemaOf, resourceJsonSchema } from "./json-schema.ts";
export {
  MAX_DOCUMENT_BYTES,
  MAX_DOCUMENTS,
  MAX_ENTRIES,
  MAX_EVENTS,
  MAX_KNOWN,
  MAX_NAME_LEN,
  MAX_PAGE,
  MAX_PROBLEMS,
  MAX_TEXT_LEN,
  MAX_YAML_ALIASES,
} from "./limits.ts";
export { type ListFilter, listFilter } from "./list-filter.ts";
export { LOCK_TARGETS, type Lock, type LockTarget, lockSchema } from "./lock.ts";
export {
  MFA_DEVICE_TYPES,
  type MfaAnswer,
  type MfaChallenge,
  type MfaDevice,
  type MfaDeviceType,
  type NewMfaDevice,
} from "./mfa.ts";
export { type HostPort, isDnsLabel1035, isDnsSubdomain1123, isIpText, parseHostPort } from "./names.ts";
export { nearest, unknownWord } from "./nearest.ts";
export { type ClusterNetworkingConfig, clusterNetworkingConfigSchema, NETWORKING_CONFIG_NAME } from "./networking.ts";
export { openApi, resourcesJsonSchema } from "./openapi.ts";
export {
  type Expression,
  FILTER_LANGUAGE,
  type FilterSubject,
  isRegexPattern,
  LABEL_LANGUAGE,
  type LabelSubject,
  type Matcher,
  matchesSearch,
  parseExpression,
  parsePattern,
  parseRegex,
  parseTraitPattern,
  quoteRegex,
  type RuleSubject,
  type Traits,
} from "./predicate/mod.ts";
export { renderJson, renderYaml, yamlText } from "./render.ts";
export {
  CREATABLE_KINDS,
  isKind,
  KIND_DESCRIPTIONS,
  KINDS,
  type Kind,
  kindSchema,
  parseKind,
  parseWhere,
  RESOURCE_SCHEMAS,
  type Resource,
  type ResourceOf,
  type RuleKind,
  resourceSchema,
  roleSchema,
  SINGLETONS,
} from "./resource.ts";
export {
  type LabelConditions,
  labelConditions,
  type Role,
  type RoleConditions,
  type Rule,
  VERBS,
  type Verb,
} from "./role.ts";
export {
  type AppSessionAnswer,
  appSessionAnswerSchema,
  type Caller,
  type ErrorEnvelope,
  errorEnvelopeSchema,
  isRpcMethod,
  type KnownRevisions,
  RPC,
  type RpcCallMethod,
  type RpcContract,
  type RpcMethod,
  type RpcParsedRequest,
  type RpcRequest,
  type RpcResponse,
  type WatchEvent,
  watchEventSchema,
} from "./rpc.ts";
export { type SecondFactorPolicy, secondFactorPolicy } from "./second-factors.ts";
export {
  maskedToken,
  parseTokenRole,
  TOKEN_ROLES,
  type Token,
  type TokenRole,
  tokenRoles,
  tokenSchema,
} from "./token.ts";
export {
  type RemoteCluster,
  type RoleMap,
  remoteClusterSchema,
  roleMapSchema,
  type TrustedCluster,
  trustedClusterSchema,
} from "./trust.ts";
export { type User, userSchema } from "./user.ts";
export { type Checked, check, checkResource, formatPath, type Issue, type Path, parseValue } from "./validate.ts";
export {
  DEFAULT_IPV4_CIDR,
  ipv4CidrOf,
  VNET_CONFIG_NAME,
  type VnetConfig,
  vnetConfigSchema,
} from "./vnet-config.ts";
export { fromErrorEnvelope, toErrorEnvelope } from "./wire-error.ts";
export { checkDocument, located, parseYaml, type SourceDocument } from "./yaml.ts";
