import { type LockSubject, lockInForce, lockMessage } from "../access/mod.ts";
import { AccessDeniedError, BadInputError, type Lock, type Resource } from "../api/mod.ts";
import type { CallContext, Method, RpcCaller, RpcHandlers } from "../rpc/mod.ts";
import { actorOf, type Core, iso } from "./core.ts";
import { grantsOfRemote } from "./grants.ts";
import { MAX_LOCKS } from "./limits.ts";

/** Why the subject is locked, in words; `undefined` where it is not. */
export async function lockOn(core: Core, subject: LockSubject): Promise<string | undefined> {
  const lock = lockInForce(await core.store.list("lock"), subject, core.clock.wallMs());
  return lock && lockMessage(lock, subject);
}

/**
 * Throws `AccessDeniedError` where the caller itself, one of its roles or its
 * host is locked, `UnauthenticatedError` where a reset has ended the login.
 */
export async function refuseLocked(core: Core, caller: RpcCaller): Promise<void> {
  if (caller.kind === "user") await core.loginEnds.refuse(caller);
  const subject = await subjectOf(core, caller);
  const reason = subject && (await lockOn(core, subject));
  if (reason !== undefined) throw new AccessDeniedError(reason);
}

/** The administrator on the Auth host cannot be locked out: there, locks are undone. */
async function subjectOf(core: Core, caller: RpcCaller): Promise<LockSubject | undefined> {
  switch (caller.kind) {
    case "user":
      return { user: caller.user, roles: caller.roles, mfaDevice: caller.mfaDevice };
    case "remote_user": {
      const { user, roles } = await grantsOfRemote(core, caller);
      return { user, roles: roles.map((role) => role.metadata.name) };
    }
    case "leaf":
    case "host":
      return { serverId: caller.hostId };
    case "admin":
    case "none":
      return undefined;
  }
}

/** Calls that leave a record. Heartbeats of hosts, by the same methods, leave none. */
const AUDITED: ReadonlySet<string> = new Set<Method>([
  "login.password",
  "login.passwordless",
  "login.finish",
  "invite.accept",
  "approval.confirm",
  "mfa.challenge",
  "mfa.register",
  "mfa.add",
  "mfa.delete",
  "registration.confirm",
  "host.join",
  "user.invite",
  "user.reset",
  "user.sign",
  "authority.rotate",
  "resource.create",
  "resource.update",
  "resource.upsert",
  "resource.delete",
  "app_session.create",
]);

/**
 * What holds for every call: one of a locked caller is refused, whatever it is,
 * and what must be audited is refused where the audit log cannot take it.
 * Watches look for themselves, also while they run.
 */
export function guarded(core: Core, handlers: RpcHandlers): RpcHandlers {
  const guard = (method: string, run: (request: never, context: CallContext) => unknown) => {
    return async (request: never, context: CallContext) => {
      await refuseLocked(core, context.caller);
      if (AUDITED.has(method) && context.caller.kind !== "host") await core.audit.demandRoom();
      return run(request, context);
    };
  };
  const { "resource.watch": watch, ...calls } = handlers;
  const entries = Object.entries(calls).map(([method, run]) => [
    method,
    guard(method, run as Parameters<typeof guard>[1]),
  ]);
  return { ...(Object.fromEntries(entries) as RpcHandlers), "resource.watch": watch };
}

/** What Auth adds to a lock: who and when, and an end that storage knows too. */
export async function completeLock<R extends Resource>(core: Core, resource: R, context: CallContext): Promise<R> {
  if (resource.kind !== "lock") return resource;
  const now = core.clock.wallMs();
  const { spec, metadata } = resource;
  const expires = spec.expires ?? metadata.expires;
  if (expires !== undefined && Date.parse(expires) <= now) throw new BadInputError("the lock's expires is in the past");
  const others = (await core.store.list("lock")).filter((lock) => lock.metadata.name !== metadata.name);
  if (others.length >= MAX_LOCKS) {
    throw new BadInputError(`${MAX_LOCKS} locks are in force: remove some, or lock a role instead of its users`);
  }
  const lock: Lock = {
    ...resource,
    metadata: { ...metadata, ...(expires !== undefined && { expires }) },
    spec: {
      ...spec,
      ...(expires !== undefined && { expires }),
      created_at: iso(now),
      created_by: actorOf(context).user,
    },
  };
  return lock as R;
}
