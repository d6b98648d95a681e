import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Account } from "./account.ts";

/** Name of the guard's shell in its own argument list, by which others find it. */
export const GUARD_NAME = "vnet-guard";

/** How a guard says whose VNet it guards: the last of its arguments. */
export function describeOwner(account: Account): string {
  return `${account.name} (pid ${process.pid})`;
}

/** Whose VNet runs on this host, as its guard says; `undefined` when none is found. For root. */
export function runningOwner(): string | undefined {
  const ours = mountsOf("self");
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const [, , , name, , owner] = argumentsOf(pid);
    // A container's VNet is another host's.
    if (name === GUARD_NAME && owner && mountsOf(pid) === ours) return owner;
  }
  return undefined;
}

/** Empty for a process that has just ended. */
function argumentsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

function mountsOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}
