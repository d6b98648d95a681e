/**
 * Keys that Teleport has and this version does not: named in a warning and
 * otherwise passed over, so that an existing file works. A star stands for any
 * item of a list.
 */
export const NOT_OURS: readonly string[] = [
  ...under("teleport", [
    "advertise_ip",
    "cache",
    "connection_limits",
    "auth_connection_config",
    "ciphers",
    "kex_algos",
    "mac_algos",
    "ciphersuites",
    "ca_signature_algo",
    "relay_server",
    "shutdown_delay",
    "storage.pragmas",
    "storage.journal",
    "storage.sync",
    "storage.audit_events_uri",
    "storage.audit_sessions_uri",
    "log.format.extra_fields",
    "trace",
  ]),
  ...under("auth_service", [
    "proxy_protocol",
    "session_recording",
    "proxy_checks_host_keys",
    "client_idle_timeout_message",
    "web_idle_timeout",
    "keep_alive_interval",
    "keep_alive_count_max",
    "ssh_dial_timeout",
    "session_control_timeout",
    "routing_strategy",
    "license_file",
    "tunnel_strategy",
    "load_all_cas",
    "case_insensitive_routing",
    "ca_key_params",
    "u2f",
    "plugins",
    "hosted_plugins",
    "access_monitoring",
    "authentication.headless",
    "authentication.connector_name",
    "authentication.device_trust",
    "authentication.u2f",
    "authentication.webauthn.attestation_allowed_cas",
    "authentication.webauthn.attestation_denied_cas",
    "authentication.webauthn.disabled",
    "authentication.hardware_key",
    "authentication.signature_algorithm_suite",
  ]),
  ...under("proxy_service", [
    "listen_addr",
    "tunnel_listen_addr",
    "kube_listen_addr",
    "mysql_listen_addr",
    "postgres_listen_addr",
    "mongo_listen_addr",
    "peer_listen_addr",
    "peer_public_addr",
    "ssh_public_addr",
    "kube_public_addr",
    "mysql_public_addr",
    "postgres_public_addr",
    "mongo_public_addr",
    "kubernetes",
    "https_keypairs_reload_interval",
    "acme",
    "trust_x_forwarded_for",
    "proxy_protocol_allow_downgrade",
    "ui",
    "idp",
    "automatic_upgrades_channels",
    "assist",
    "proxy_group_id",
    "proxy_group_generation",
  ]),
  ...under("app_service", ["debug_app", "mcp_demo_server", "allowed_hosts", "denied_hosts"]),
  "app_service.apps.*.mcp",
  "db_service",
  "kubernetes_service",
  "windows_desktop_service",
  "discovery_service",
  "okta_service",
  "jamf_service",
  "metrics_service",
  "debug_service",
  "tracing_service",
  "relay_service",
];

function under(section: string, keys: readonly string[]): string[] {
  return keys.map((key) => `${section}.${key}`);
}

type Path = (string | number)[];

/** Takes those keys out of `value` and returns where they were; one that only says "off" is not worth a word. */
export function takeNotOurs(value: unknown): Path[] {
  return NOT_OURS.flatMap((pattern) => take(value, pattern.split("."), []));
}

function take(value: unknown, [step, ...rest]: string[], at: Path): Path[] {
  if (step === undefined || typeof value !== "object" || value === null) return [];
  if (step === "*") return Array.isArray(value) ? value.flatMap((item, i) => take(item, rest, [...at, i])) : [];
  if (Array.isArray(value) || !Object.hasOwn(value, step)) return [];
  const map = value as Record<string, unknown>;
  if (rest.length > 0) return take(map[step], rest, [...at, step]);
  const found = map[step];
  delete map[step];
  return isOff(found) ? [] : [[...at, step]];
}

function isOff(value: unknown): boolean {
  if (typeof value === "object" && value !== null) {
    return "enabled" in value ? isOff(value.enabled) : Object.values(value).every(isOff);
  }
  return [undefined, null, "", 0, false, "no", "off", "false", "0", "0s", "never"].includes(value as string);
}
