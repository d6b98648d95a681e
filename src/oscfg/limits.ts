/** PROTOCOL: what an unprivileged process may ask root for. */
export const MAX_IPV4_RANGES = 16;
export const MAX_IPV6_RANGES = 1;
export const MIN_IPV4_PREFIX_LEN = 8;
export const MAX_ZONES = 64;
export const MAX_DNS_SERVERS = 2;
export const MAX_PROXIES = 64;

/** IPv6's minimum (RFC 8200 §5) and the longest packet. */
export const MIN_MTU = 1_280;
export const MAX_MTU = 65_535;

/** glibc looks at no more name servers (`MAXNS`, resolv.conf(5)). */
export const MAX_NAMESERVERS = 3;

/** A longer resolv.conf is none. */
export const MAX_RESOLV_CONF_LEN = 64 * 1024;

/** One `ip` call. */
export const COMMAND_MS = 5_000;
