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

/** One D-Bus message, octets; the longest that we expect are lists of DNS servers. The specification allows 128 MiB. */
export const MAX_DBUS_MESSAGE_LEN = 256 * 1024;

/** Arrays, structs and variants within each other (D-Bus Specification: 32 of either). */
export const MAX_DBUS_DEPTH = 64;

/** The bus's answer to our name, octets. */
export const MAX_DBUS_AUTH_LEN = 1_024;

/** Calls that wait for an answer; ours wait for each other. */
export const MAX_DBUS_CALLS = 32;

/** One D-Bus call; systemd-resolved answers in 1 ms. */
export const DBUS_CALL_MS = 2_000;

/** Routing domains of one device; systemd-resolved takes 256 (`LINK_SEARCH_DOMAINS_MAX` of version 252). */
export const MAX_LINK_DOMAINS = 256;

/** Foreign ranges that are looked at: routes and rules beyond these are too many for a laptop. */
export const MAX_TAKEN = 4_096;

/**
 * How often the kernel is asked whether VNet's addresses, routes and rules are there: five runs of `ip`, 3 ms of CPU each.
 * Who removes them again and again is not followed faster.
 */
export const NETWORK_LOOK_MS = 5_000;

/** How often, in a time, we take the host's name servers back from another program that changes them. */
export const MAX_MENDS = 10;
export const MENDS_WINDOW_MS = 60_000;

/** How long the host's resolver may be away at VNet's start before another way is taken; systemd restarts it in 0.1 s. */
export const RESOLVER_RESTART_MS = 5_000;
/** The same for one that has not been heard of yet: it may be configured and not installed. */
export const RESOLVER_START_MS = 1_000;
export const RESOLVER_RETRY_MS = 50;
