import { LOCK_TARGETS, type Lock, type LockTarget } from "../api/mod.ts";

/** What a request or a connection is made of: any lock on any part of it stops it. */
export interface LockSubject {
  readonly user?: string;
  readonly roles?: readonly string[];
  readonly app?: string;
  readonly serverId?: string;
  /** The device that was shown for the certificate. */
  readonly mfaDevice?: string | undefined;
}

/** The first lock in force on the subject. `now`: milliseconds since 1970. */
export function lockInForce(locks: Iterable<Lock>, subject: LockSubject, now: number): Lock | undefined {
  for (const lock of locks) {
    const { expires } = lock.spec;
    if (expires !== undefined && Date.parse(expires) <= now) continue;
    if (targetHit(lock, subject) !== undefined) return lock;
  }
  return undefined;
}

/** What the user is told and the audit log says. */
export function lockMessage(lock: Lock, subject: LockSubject): string {
  const kind = targetHit(lock, subject) ?? "user";
  const { target, message } = lock.spec;
  return `lock targeting ${TITLES[kind]}:${JSON.stringify(target[kind])} is in force${message ? `: ${message}` : ""}`;
}

const TITLES: Readonly<Record<LockTarget, string>> = {
  user: "User",
  role: "Role",
  app: "App",
  server_id: "ServerID",
  mfa_device: "MFADevice",
};

function targetHit({ spec: { target } }: Lock, subject: LockSubject): LockTarget | undefined {
  return LOCK_TARGETS.find((kind) => {
    const wanted = target[kind];
    return wanted !== undefined && wanted !== "" && partsOf(subject, kind).includes(wanted);
  });
}

function partsOf(
  { user, roles, app, serverId, mfaDevice }: LockSubject,
  kind: LockTarget,
): readonly (string | undefined)[] {
  switch (kind) {
    case "user":
      return [user];
    case "role":
      return roles ?? [];
    case "app":
      return [app];
    case "server_id":
      return [serverId];
    case "mfa_device":
      return [mfaDevice];
  }
}
