import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import {
  BadInputError,
  checkDocument,
  formatProblem,
  type Issue,
  located,
  parseYaml,
  type SourceDocument,
} from "../api/mod.ts";
import { crossFieldFaults, crossFieldWarnings } from "./cross-field.ts";
import { ConfigFileError } from "./errors.ts";
import { joinHostPort, rangeOf } from "./fields.ts";
import { atFlag, withFlags } from "./flags.ts";
import { takeNotOurs } from "./not-ours.ts";
import { AUTH_PORT, type ConfigFile, DEFAULT_DATA_DIR, fileSchema, WEB_PORT } from "./schema.ts";
import type { AppConfig, AuthConfig, ProxyConfig, StartFlags, TeleportConfig } from "./teleport-config.ts";
import { readValue, type ValueSource, valueSource } from "./value-source.ts";

const DEFAULT_SESSION_TTL_MS = 12 * 3_600_000;

/** Reads teleport.yaml. Throws `ConfigFileError`, or `BadInputError` with each problem's file, line and column. */
export async function loadTeleportConfig(path: string, flags: StartFlags = {}): Promise<TeleportConfig> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw ConfigFileError.of("the configuration file", path, cause);
  });
  return parseTeleportConfig(text, path, flags);
}

/** As `loadTeleportConfig`, from its text. Files with static tokens are read here. */
export function parseTeleportConfig(text: string, file: string, flags: StartFlags = {}): TeleportConfig {
  const documents = parseYaml(text, file);
  const [document] = documents;
  if (document === undefined) throw BadInputError.of([{ file, path: "", message: "the configuration is empty" }]);
  if (documents.length > 1) throw BadInputError.of([{ file, path: "", message: "expected one YAML document" }]);
  const value = withFlags(withoutNulls(document.value), flags);
  const notOurs = takeNotOurs(value);
  const config = checkedFile({ ...document, value }, flags);
  const warnings: Issue[] = [
    ...notOurs.map((path) => ({ path, key: false, message: "this version does not have it; it has no effect" })),
    ...crossFieldWarnings(config),
  ];
  return {
    ...instance(config, flags),
    warnings: warnings.map((issue) => formatProblem(document.locate(issue))),
    auth: isOn(config.auth_service, true) ? authConfig(config, document) : undefined,
    proxy: isOn(config.proxy_service, true) ? proxyConfig(config.proxy_service) : undefined,
    app: isOn(config.app_service, false) ? appConfig(config.app_service) : undefined,
  };
}

function checkedFile(document: SourceDocument, flags: StartFlags): ConfigFile {
  try {
    const config = checkDocument(fileSchema, document);
    const faults = crossFieldFaults(config);
    if (faults.length > 0) throw located(document, faults);
    return config;
  } catch (error) {
    if (!(error instanceof BadInputError)) throw error;
    throw BadInputError.of(error.problems.map((problem) => atFlag(problem, flags)));
  }
}

function instance({ teleport = {}, auth_service: auth }: ConfigFile, flags: StartFlags) {
  const token = teleport.join_params?.token_name ?? teleport.auth_token;
  const output = teleport.log?.output;
  return {
    nodename: teleport.nodename || hostname(),
    dataDir: dataDirOf(teleport),
    pidFile: teleport.pid_file || undefined,
    diagAddr: teleport.diag_addr || undefined,
    log: {
      level: flags.debug ? ("debug" as const) : (teleport.log?.severity ?? "info"),
      format: teleport.log?.format?.output ?? ("text" as const),
      output: outputOf(output),
    },
    joinToken: token ? valueSource(token) : undefined,
    caPins: (teleport.ca_pin ?? []).map(valueSource),
    authServer: teleport.auth_server ?? (isOn(auth, true) ? loopbackOf(listenAddrOf(auth)) : undefined),
    proxyServer: teleport.proxy_server,
  };
}

function authConfig({ teleport, auth_service: auth = {} }: ConfigFile, document: SourceDocument): AuthConfig {
  const { authentication } = auth;
  return {
    clusterName: auth.cluster_name,
    listenAddr: listenAddrOf(auth),
    publicAddrs: auth.public_addr ?? [],
    storagePath: join(teleport?.storage?.path ?? join(dataDirOf(teleport), "backend"), "sqlite.db"),
    auditDir: join(dataDirOf(teleport), "log"),
    auditRetentionMs: teleport?.storage?.audit_retention_period || undefined,
    authentication: {
      secondFactors: authentication?.second_factors ?? authentication?.second_factor ?? ["otp"],
      webauthnRpId: authentication?.webauthn?.rp_id,
      defaultSessionTtlMs: authentication?.default_session_ttl || DEFAULT_SESSION_TTL_MS,
      lockingMode: authentication?.locking_mode,
      localAuth: authentication?.local_auth,
      passwordless: authentication?.passwordless,
      requireSessionMfa: authentication?.require_session_mfa,
      disconnectExpiredCert: auth.disconnect_expired_cert,
      fromFile: authentication !== undefined,
    },
    staticTokens: (auth.tokens ?? []).map(({ roles, token }, i) => ({
      roles,
      token: readAt(document, ["auth_service", "tokens", i], token),
    })),
    messageOfTheDay: auth.message_of_the_day ?? "",
    networking: networkingConfig(auth),
  };
}

/** The listener's mode is no choice, so it alone sets nothing. */
function networkingConfig(auth: NonNullable<ConfigFile["auth_service"]>): AuthConfig["networking"] {
  const { client_idle_timeout, link_resume_window, link_transports, proxy_listener_mode } = auth;
  const choices = { client_idle_timeout, link_resume_window, link_transports };
  return Object.values(choices).some((value) => value !== undefined) ? { ...choices, proxy_listener_mode } : undefined;
}

function proxyConfig(proxy: ConfigFile["proxy_service"] = {}): ProxyConfig {
  const { https_key_file: keyFile, https_cert_file: certFile } = proxy;
  const single = keyFile !== undefined && certFile !== undefined ? [{ keyFile, certFile }] : [];
  const listed = (proxy.https_keypairs ?? []).map((pair) => ({ keyFile: pair.key_file, certFile: pair.cert_file }));
  return {
    webListenAddr: proxy.web_listen_addr ?? joinHostPort("0.0.0.0", WEB_PORT),
    publicAddrs: proxy.public_addr ?? [],
    tunnelPublicAddrs: proxy.tunnel_public_addr ?? [],
    httpsKeypairs: [...single, ...listed],
    proxyProtocol: proxy.proxy_protocol
      ? { from: (proxy.proxy_protocol_from ?? []).flatMap((text) => rangeOf(text) ?? []) }
      : undefined,
  };
}

function appConfig(app: ConfigFile["app_service"] = {}): AppConfig {
  return { apps: app.apps ?? [], selectors: (app.resources ?? []).map(({ labels }) => labels) };
}

export function isOn(section: { enabled?: boolean | undefined } | undefined, byDefault: boolean): boolean {
  return section?.enabled ?? byDefault;
}

function dataDirOf(teleport: ConfigFile["teleport"]): string {
  return teleport?.data_dir ?? DEFAULT_DATA_DIR;
}

function listenAddrOf(auth: ConfigFile["auth_service"]): string {
  return auth?.listen_addr ?? joinHostPort("0.0.0.0", AUTH_PORT);
}

/** Where this machine reaches a listener on every address. */
function loopbackOf(listenAddr: string): string {
  return listenAddr.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:");
}

function outputOf(output: string | undefined): TeleportConfig["log"]["output"] {
  if (output === "stdout" || output === "out") return "stdout";
  return output?.startsWith("/") ? { path: output } : "stderr";
}

function readAt(document: SourceDocument, path: (string | number)[], source: ValueSource): string {
  try {
    return readValue(source, "the token");
  } catch (error) {
    if (!(error instanceof ConfigFileError)) throw error;
    throw BadInputError.of([document.locate({ path, key: false, message: error.message })]);
  }
}

/** `apps:` with nothing behind it is an absent key, as it is to Teleport. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== null);
  return Object.fromEntries(entries.map(([key, item]) => [key, withoutNulls(item)]));
}
