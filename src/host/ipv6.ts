import { readFileSync } from "node:fs";

/** Whether a new device in this network namespace may have IPv6 addresses. */
export function hasIpv6(): boolean {
  try {
    return readFileSync("/proc/sys/net/ipv6/conf/default/disable_ipv6", "utf8").trim() === "0";
  } catch {
    return false; // The kernel has none.
  }
}
