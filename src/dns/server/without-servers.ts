import { isMalformed, parseScopedIp } from "../../base/mod.ts";

/** `servers` without those at an `excluded` address, however it is written, and without what is no address. */
export function withoutServers(servers: readonly string[], excluded: readonly string[]): string[] {
  const key = (text: string) => {
    const address = parseScopedIp(text);
    return isMalformed(address) ? undefined : address.join(".");
  };
  const keys = new Set(excluded.map(key));
  return servers.filter((server) => {
    const own = key(server);
    return own !== undefined && !keys.has(own);
  });
}
