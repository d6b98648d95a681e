import { type Cidr, cidrContains, isMalformed, parseCidr, parseIp } from "../base/mod.ts";

/** `proxy_service.proxy_protocol`, where it is on. */
export interface ProxyProtocolConfig {
  /** The balancers; empty: whoever connects from another machine is one. */
  readonly from: readonly Cidr[];
}

/** Who sends PROXY headers; `undefined` config: nobody. */
export function balancerCheck(config: ProxyProtocolConfig | undefined): (address: string) => boolean {
  if (config === undefined) return () => false;
  const { from } = config;
  const among = (ranges: readonly Cidr[]) => (text: string) => {
    const address = parseIp(text.replace(/^::ffff:(?=\d+\.)/, ""));
    return !isMalformed(address) && ranges.some((range) => cidrContains(range, address));
  };
  if (from.length > 0) return among(from);
  // An agent in this very process comes straight.
  const isLocal = among(LOOPBACK);
  return (text) => !isLocal(text);
}

const LOOPBACK = ["127.0.0.0/8", "::1/128"].map((text) => parseCidr(text) as Cidr);
