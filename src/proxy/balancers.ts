import { type Cidr, cidrContains, isMalformed, parseIp } from "../base/mod.ts";

/** `proxy_service.proxy_protocol`, where it is on. */
export interface ProxyProtocolConfig {
  /** The balancers; empty: whoever connects is one. */
  readonly from: readonly Cidr[];
}

/** Who sends PROXY headers; `undefined` config: nobody. */
export function balancerCheck(config: ProxyProtocolConfig | undefined): (address: string) => boolean {
  if (config === undefined) return () => false;
  const { from } = config;
  if (from.length === 0) return () => true;
  return (text) => {
    const address = parseIp(text.replace(/^::ffff:(?=\d+\.)/, ""));
    return !isMalformed(address) && from.some((range) => cidrContains(range, address));
  };
}
