import type { Issue } from "../api/mod.ts";
import { AUTH_PORT, type ConfigFile, WEB_PORT } from "./schema.ts";

function services(config: ConfigFile): { auth: boolean; proxy: boolean; app: boolean } {
  return {
    auth: config.auth_service?.enabled ?? true,
    proxy: config.proxy_service?.enabled ?? true,
    app: config.app_service?.enabled ?? false,
  };
}

/** Rules between sections, as Teleport has them for version v3. */
export function crossFieldFaults(config: ConfigFile): Issue[] {
  const { auth, proxy, app } = services(config);
  const authServer = config.teleport?.auth_server;
  const proxyServer = config.teleport?.proxy_server;
  const { https_key_file: keyFile, https_cert_file: certFile } = config.proxy_service ?? {};
  const faults: [Issue["path"], string, boolean][] = [
    [[], "no service is enabled: enable auth_service, proxy_service or app_service", !auth && !proxy && !app],
    [["teleport", "proxy_server"], "give either auth_server or proxy_server, not both", !!authServer && !!proxyServer],
    [
      ["teleport"],
      "auth_server or proxy_server is required where auth_service is not enabled",
      !auth && (proxy || app) && !authServer && !proxyServer,
    ],
    [
      ["teleport", "auth_server"],
      "app_service reaches the cluster through a proxy: use proxy_server instead of auth_server",
      !auth && app && !!authServer,
    ],
    [
      ["teleport", "proxy_server"],
      "proxy_service needs Auth itself: use auth_server instead of proxy_server",
      !auth && proxy && !!proxyServer,
    ],
    [
      ["proxy_service", keyFile === undefined ? "https_cert_file" : "https_key_file"],
      "https_key_file and https_cert_file belong together",
      (keyFile === undefined) !== (certFile === undefined),
    ],
  ];
  const { proxy_protocol: proxyProtocol = false, proxy_protocol_from: balancers } = config.proxy_service ?? {};
  faults.push([
    ["proxy_service", "proxy_protocol_from"],
    'proxy_protocol_from counts only with "proxy_protocol: on"',
    !proxyProtocol && balancers !== undefined,
  ]);
  return faults.filter(([, , wrong]) => wrong).map(([path, message]) => ({ path, message, key: false }));
}

export function crossFieldWarnings(config: ConfigFile): Issue[] {
  const { app } = services(config);
  const authPort = portOf(config.teleport?.auth_server);
  const proxyPort = portOf(config.teleport?.proxy_server);
  const { proxy_protocol: proxyProtocol, proxy_protocol_from: balancers } = config.proxy_service ?? {};
  const warnings: [Issue["path"], string, boolean][] = [
    [
      ["proxy_service", "proxy_protocol"],
      "whoever reaches the port may say where it is: name the balancers in proxy_protocol_from",
      proxyProtocol === true && balancers === undefined,
    ],
    [
      ["teleport", "proxy_server"],
      `port ${AUTH_PORT} is usually Auth's; proxies listen on 443 or ${WEB_PORT}`,
      proxyPort === AUTH_PORT,
    ],
    [
      ["teleport", "auth_server"],
      `port ${authPort} is usually a proxy's; Auth listens on ${AUTH_PORT}`,
      authPort === 443 || authPort === WEB_PORT,
    ],
    [
      ["auth_service", "disconnect_expired_cert"],
      "connections end with their login in this version, whatever this says",
      config.auth_service?.disconnect_expired_cert === false,
    ],
    [
      ["app_service"],
      'it lists apps but is off; write "enabled: yes"',
      !app && (config.app_service?.apps?.length ?? 0) > 0,
    ],
  ];
  return warnings.filter(([, , due]) => due).map(([path, message]) => ({ path, message, key: false }));
}

function portOf(address: string | undefined): number | undefined {
  const digits = address === undefined ? undefined : /:(\d+)$/.exec(address)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
