import { type Cidr, cidrContains, isMalformed, parseCidr, parseIp } from "../base/mod.ts";
import type { Target } from "./direct.ts";
import { ConnectProxySettingError } from "./errors.ts";
import { MAX_NO_PROXY } from "./limits.ts";

type Rule = (host: string, port: number) => boolean;

const LOOPBACK = ["127.0.0.0/8", "::1/128"].map((text) => parseCidr(text) as Cidr);

/**
 * Which targets are reached without the HTTP proxy, by the words of NO_PROXY as
 * Go programs (and so Teleport) read them: names with all below them, `.name`
 * or `*.name` for those below alone, addresses, ranges, each with a port or
 * without; `*` for all. Loopback never goes through a proxy.
 */
export function exemptBy(noProxy: string): (target: Target) => boolean {
  const words = noProxy.split(/[\s,]+/).filter((word) => word !== "");
  if (words.length > MAX_NO_PROXY) throw new ConnectProxySettingError(`NO_PROXY has more than ${MAX_NO_PROXY} entries`);
  const rules = [isLoopback, ...words.map((word) => ruleOf(word.toLowerCase()))];
  return ({ host, port }) => {
    const name = host.toLowerCase().replace(/\.$/, "");
    return rules.some((rule) => rule(name, port));
  };
}

function isLoopback(host: string): boolean {
  if (host === "localhost") return true;
  const address = parseIp(host);
  return !isMalformed(address) && LOOPBACK.some((range) => cidrContains(range, address));
}

function ruleOf(word: string): Rule {
  if (word === "*") return () => true;
  const range = parseCidr(word);
  if (!isMalformed(range)) return inRange(range);
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*|[^:]*:.*:.*?))(?::(\d+))?$/.exec(word) ?? [];
  const host = bracketed ?? plain ?? word;
  const matches = isMalformed(parseIp(host)) ? named(host) : inRange(singleOf(host));
  return (target, targetPort) => (port === undefined || Number(port) === targetPort) && matches(target, targetPort);
}

function inRange(range: Cidr): Rule {
  return (host) => {
    const address = parseIp(host);
    return !isMalformed(address) && cidrContains(range, address);
  };
}

function singleOf(host: string): Cidr {
  return parseCidr(host.includes(":") ? `${host}/128` : `${host}/32`) as Cidr;
}

function named(text: string): Rule {
  const name = text.replace(/^\*/, "").replace(/\.$/, "");
  if (name.startsWith(".")) return (host) => host.endsWith(name);
  return (host) => host === name || host.endsWith(`.${name}`);
}
