import type { WantedState } from "./state.ts";
import { TABLE, TUN_ROUTE } from "./table.ts";

/** One thing in the kernel: the arguments of `ip` that make it, and those that undo it. */
export interface NetworkItem {
  readonly add: readonly string[];
  /** Absent where nothing is left to undo. */
  readonly remove?: readonly string[];
}

export interface NetworkOptions {
  readonly device: string;
  readonly queueLen: number;
  /** Whose connections VNet takes. */
  readonly users: number | "all";
  readonly ipv6: boolean;
}

/** What `state` means for the kernel, in the order in which it is made. */
export function networkItems(state: WantedState, options: NetworkOptions): NetworkItem[] {
  const usable = (text: string) => options.ipv6 || !text.includes(":");
  const ranges = state.ranges.filter(usable);
  if (ranges.length === 0) return [];
  const dns = state.dns.filter(usable);
  const families = [...new Set(ranges.map(familyOf))];
  return [
    ...links(state.mtu, options),
    ...state.addresses.filter(usable).map((address) => deviceAddress(address, options.device)),
    // The backstop comes first: when the device is gone, packets fail at once and do not leave by the default route.
    ...ranges.map(backstop),
    ...ranges.map((range) => item(range, "route", [range, "dev", options.device, ...TUN_ROUTE, ...OURS])),
    ...dns.map((address) => rule(address, "dns", ["to", address, "lookup", TABLE.id])),
    ...families.flatMap((family) => userRules(family, options.users)),
    ...ranges.map((range) => rule(range, "rest", ["to", range, "prohibit"])),
  ];
}

const OURS = ["table", TABLE.id, "protocol", TABLE.protocol];

/** From `current` to `wanted`: first what is undone, last made first, then what is made. */
export function networkActions(
  current: readonly NetworkItem[],
  wanted: readonly NetworkItem[],
): { remove: NetworkItem[]; add: NetworkItem[] } {
  const key = (entry: NetworkItem) => entry.add.join(" ");
  const has = (list: readonly NetworkItem[], entry: NetworkItem) => list.some((other) => key(other) === key(entry));
  return {
    remove: current.filter((entry) => !has(wanted, entry)).toReversed(),
    add: wanted.filter((entry) => !has(current, entry)),
  };
}

function links(mtu: number, options: NetworkOptions): NetworkItem[] {
  const set = (...settings: string[]) => ({ add: ["link", "set", "dev", options.device, ...settings] });
  return [
    // Before `up`, and in a call of its own: else the kernel adds an fe80:: address and sends router solicitations.
    set("mtu", `${mtu}`, "txqueuelen", `${options.queueLen}`, "addrgenmode", "none"),
    set("up"),
  ];
}

function deviceAddress(address: string, device: string): NetworkItem {
  // An address of its own needs no duplicate detection, and its prefix route belongs in our table, not in main.
  const flags = address.includes(":") ? ["nodad", "noprefixroute"] : [];
  const target = [address, "dev", device];
  return {
    add: [familyOf(address), "address", "add", ...target, ...flags],
    remove: [familyOf(address), "address", "del", ...target],
  };
}

function backstop(range: string): NetworkItem {
  return item(range, "route", ["unreachable", range, "metric", "4294967295", ...OURS]);
}

/** `iif lo`: only what this host itself sends; a host that forwards would let its neighbours in. */
function userRules(family: string, users: number | "all"): NetworkItem[] {
  const lookup = ["lookup", TABLE.id];
  if (users === "all") return [rule(family, "users", ["iif", "lo", ...lookup])];
  const ofUser = (uid: number) => ["iif", "lo", "uidrange", `${uid}-${uid}`, ...lookup];
  const own = rule(family, "users", ofUser(users));
  // Reverse-path lookups are made as uid 0, with any rp_filter.
  return users === 0 ? [own] : [own, rule(family, "root", ofUser(0))];
}

function rule(address: string, priority: keyof typeof TABLE.priorities, selector: readonly string[]): NetworkItem {
  const pref = ["pref", `${TABLE.priorities[priority]}`];
  return item(address, "rule", [...selector, ...pref, "protocol", TABLE.protocol]);
}

/** Always `add`, never `replace`: what is there already is somebody else's. */
function item(familyBy: string, object: string, parameters: readonly string[]): NetworkItem {
  const family = familyOf(familyBy);
  return { add: [family, object, "add", ...parameters], remove: [family, object, "del", ...parameters] };
}

function familyOf(text: string): string {
  if (text === "-4" || text === "-6") return text;
  return text.includes(":") ? "-6" : "-4";
}
