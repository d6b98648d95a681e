/** Version of `WantedState` and of the pipe it travels on. */
export const STATE_VERSION = 1;

/**
 * How the host should be configured while VNet runs. Sent by the unprivileged
 * user process, so nothing in it is trusted before `parseWantedState` and
 * `refusal` have seen it. Empty lists mean: leave no trace.
 */
export interface WantedState {
  readonly version: typeof STATE_VERSION;
  /** Of the device, octets. */
  readonly mtu: number;
  /** Of the TUN: one IPv4 address as /32, one IPv6 address with its /64. */
  readonly addresses: readonly string[];
  /** CIDRs that lead into the TUN, the IPv6 /64 included. */
  readonly ranges: readonly string[];
  /** VNet's own DNS addresses, inside the ranges. */
  readonly dns: readonly string[];
  /** DNS zones that VNet answers for. */
  readonly zones: readonly string[];
  /** Addresses of proxies, which no range may swallow. */
  readonly proxies: readonly string[];
}
