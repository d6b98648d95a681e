import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import { checkResource, type Lock, NotFoundError } from "../../api/mod.ts";
import type { RpcClient } from "../../rpc/mod.ts";
import { type Format, formatOption, parseDuration } from "../cli/arguments.ts";
import { printAs } from "../cli/format.ts";
import { say, UsageError } from "../cli/program.ts";
import type { Tctl } from "./tctl.ts";

interface LockOptions {
  user?: string;
  role?: string;
  app?: string;
  serverId?: string;
  mfaDevice?: string;
  message?: string;
  ttl?: number;
  expires?: string;
}

export function addLockCommand(program: Command, tctl: Tctl): void {
  program
    .command("lock")
    .description("stop a user, a role, an app, a host or an MFA device now: open connections end, new ones are refused")
    .option("--user <name>", "the user")
    .option("--role <name>", "everybody who has the role")
    .option("--app <name>", "the app")
    .option("--server-id <uuid>", "the agent or proxy")
    .option("--mfa-device <uuid>", "every login and session that the MFA device was shown for")
    .option("--message <text>", "shown to whom it stops")
    .option("--ttl <duration>", "how long (by default until it is deleted)", parseDuration)
    .option("--expires <time>", "until when, as 2026-01-31T12:00:00Z")
    .addOption(formatOption())
    .action((o: LockOptions & { format: Format }) =>
      tctl.run(async (rpc) => {
        const lock = checkResource(lockOf(o, Date.now()));
        await warnOfMissing(rpc, o);
        const { resource } = await rpc.call("resource.create", { resource: lock });
        printAs(o.format, resource, () => `Created a lock with name "${resource.metadata.name}".\n`);
      }),
    );
}

/** A lock may come before what it targets; more often the name is a slip. */
async function warnOfMissing(rpc: RpcClient, { user, role }: LockOptions): Promise<void> {
  for (const [kind, name] of [
    ["user", user],
    ["role", role],
  ] as const) {
    if (name === undefined) continue;
    const missing = await rpc.call("resource.get", { kind, name }).then(
      () => false,
      (error: unknown) => error instanceof NotFoundError,
    );
    if (missing) say(`NOTE: there is no ${kind} "${name}" now: the lock waits for one of that name.\n`);
  }
}

export function lockOf(o: LockOptions, now: number): Lock {
  const { user, role, app, serverId, mfaDevice, message, ttl } = o;
  if ([user, role, app, serverId, mfaDevice].every((each) => each === undefined)) {
    throw new UsageError("say what to lock: --user, --role, --app, --server-id or --mfa-device");
  }
  if (ttl !== undefined && o.expires !== undefined) throw new UsageError("--ttl and --expires exclude each other");
  const expires = ttl === undefined ? o.expires : new Date(now + ttl * 1000).toISOString();
  return {
    kind: "lock",
    version: "v2",
    metadata: { name: randomUUID() },
    spec: {
      target: {
        ...(user !== undefined && { user }),
        ...(role !== undefined && { role }),
        ...(app !== undefined && { app }),
        ...(serverId !== undefined && { server_id: serverId }),
        ...(mfaDevice !== undefined && { mfa_device: mfaDevice }),
      },
      ...(message !== undefined && { message }),
      ...(expires !== undefined && { expires }),
    },
  };
}
