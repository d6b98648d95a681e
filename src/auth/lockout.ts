import type { User } from "../api/mod.ts";
import { messageOf } from "../base/mod.ts";
import { type Core, iso } from "./core.ts";
import type { LoginLimits } from "./login-limits.ts";

/** Counts a wrong password or second factor; the last one that a user has locks the account for logins. */
export async function countFailure(
  core: Core,
  limits: LoginLimits,
  who: { user: string; address: string },
): Promise<void> {
  const { lockedUntil } = limits.failed(who);
  if (lockedUntil !== undefined) await lockOut(core, who.user, lockedUntil);
}

/** Lifts the lock of failed logins. Writes the user in any case, so that who watches as this user is looked at again. */
export async function unlock(core: Core, name: string): Promise<void> {
  const user = await core.store.get("user", name);
  const { status, ...spec } = user.spec;
  const keep = status?.is_locked && status.lock_expires === undefined;
  await core.store.upsert(keep ? user : { ...user, spec });
}

/** By failed logins, for a while; a lock without an end is an administrator's and counts for everything. */
export function isLockedOut(user: User | undefined, now: number): boolean {
  const { is_locked, lock_expires } = user?.spec.status ?? {};
  return is_locked === true && lock_expires !== undefined && Date.parse(lock_expires) > now;
}

/** Shown in the user's status. Logins only: who guesses ends nobody's open sessions by it. */
async function lockOut(core: Core, name: string, until: number): Promise<void> {
  const user = await core.store.find("user", name);
  if (user === undefined || user.spec.status?.is_locked) return;
  const status = {
    is_locked: true,
    locked_message: "too many failed logins",
    lock_expires: iso(until),
  };
  await core.store.update({ ...user, spec: { ...user.spec, status } }).catch((error: unknown) => {
    // Written by somebody else meanwhile: the count in memory holds all the same.
    core.log.warn({ user: name, error: messageOf(error) }, "a locked account is not shown as locked");
  });
  core.log.warn({ user: name, until: iso(until) }, "too many failed logins: the account is locked for logins");
}
