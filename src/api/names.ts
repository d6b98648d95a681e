import { isMalformed, parseIp } from "../base/mod.ts";

const MAX_DNS_NAME_LEN = 253; // RFC 1035 §2.3.4, in text form

/** DNS-1035 label: an app's name is the left-most label of its default address. */
export function isDnsLabel1035(text: string): boolean {
  return /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text);
}

/** DNS-1123 subdomain: lower case, no leading or trailing dot, no wildcard. Each label ≤ 63 (RFC 1035 §2.3.4). */
export function isDnsSubdomain1123(text: string): boolean {
  if (text.length > MAX_DNS_NAME_LEN) return false;
  return text.split(".").every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label));
}

export function isIpText(text: string): boolean {
  return !isMalformed(parseIp(text.replace(/^\[(.*)\]$/, "$1")));
}

export interface HostPort {
  readonly host: string;
  readonly port?: number;
}

/** `host`, `host:port`, `[::1]:port`; `undefined` where the text is none of them. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const host = match[1]!.replace(/^\[(.*)\]$/, "$1");
  if (match[1]!.startsWith("[") && !isIpText(host)) return undefined;
  if (match[2] === undefined) return { host };
  const port = Number(match[2]);
  return port >= 1 && port <= 65_535 ? { host, port } : undefined;
}
