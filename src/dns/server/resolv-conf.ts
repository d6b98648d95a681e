import { type IpAddress, isMalformed, type Malformed, parseIp } from "../../base/mod.ts";

/** systemd-resolved's stubs (systemd-resolved.service(8)): they would route VNet's names back to VNet. */
export const RESOLVED_STUBS: readonly string[] = ["127.0.0.53", "127.0.0.54"];

/** The addresses of `nameserver` lines (resolv.conf(5)), in order and once each; what is no address is left out. */
export function parseResolvConf(text: string): string[] {
  const servers = text.split("\n").flatMap((line) => {
    const server = /^nameserver[ \t]+([^\s#;]+)/.exec(line)?.[1];
    return server !== undefined && !isMalformed(serverAddress(server)) ? [server] : [];
  });
  return [...new Set(servers)];
}

/** `servers` without those at an `excluded` address, however it is written. */
export function withoutServers(servers: readonly string[], excluded: readonly string[]): string[] {
  const key = (text: string) => {
    const address = serverAddress(text);
    return isMalformed(address) ? undefined : address.join(".");
  };
  const keys = new Set(excluded.map(key));
  return servers.filter((server) => {
    const own = key(server);
    return own !== undefined && !keys.has(own);
  });
}

/** A link-local server names its interface after `%` (RFC 4007 §11). */
function serverAddress(text: string): IpAddress | Malformed {
  return parseIp(text.replace(/^(fe[89ab][0-9a-f]:.*)%[\w.-]+$/i, "$1"));
}
