import { type Malformed, malformed } from "../base/mod.ts";
import { MAX_MTU } from "./limits.ts";

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

export const EMPTY_STATE: WantedState = {
  version: STATE_VERSION,
  mtu: MAX_MTU,
  addresses: [],
  ranges: [],
  dns: [],
  zones: [],
  proxies: [],
};

const LISTS = ["addresses", "ranges", "dns", "zones", "proxies"] as const;

/** The shape only, and unknown fields are refused: what the values may be is `refusal`'s. */
export function parseWantedState(value: unknown): WantedState | Malformed {
  if (typeof value !== "object" || value === null) return malformed("state.not-an-object");
  const fields = value as Record<string, unknown>;
  if (fields.version !== STATE_VERSION) return malformed("state.version");
  if (!Number.isInteger(fields.mtu)) return malformed("state.mtu");
  for (const list of LISTS) if (!isTextList(fields[list])) return malformed(`state.${list}`);
  const unknown = Object.keys(fields).find((key) => !(key in EMPTY_STATE));
  return unknown === undefined ? (fields as unknown as WantedState) : malformed("state.unknown-field");
}

/** Longer than any address or name, shorter than trouble. */
const MAX_TEXT_LEN = 255;
const MAX_LIST_LEN = 256;

function isTextList(value: unknown): value is string[] {
  if (!Array.isArray(value) || value.length > MAX_LIST_LEN) return false;
  return value.every((item) => typeof item === "string" && item.length <= MAX_TEXT_LEN);
}
