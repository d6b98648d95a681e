import type { Command } from "commander";
import type { User } from "../../api/mod.ts";
import { assert } from "../../base/mod.ts";
import type { ResponseOf, RpcClient } from "../../rpc/mod.ts";
import { collectList, type Format, formatOption, parseDuration } from "../cli/arguments.ts";
import { humanDuration, printAs } from "../cli/format.ts";
import { listAll } from "../cli/list-all.ts";
import { print, UsageError } from "../cli/program.ts";
import { table } from "../cli/table.ts";
import type { Tctl } from "./tctl.ts";

interface AddOptions {
  roles?: string[];
  logins?: string[];
  ttl?: number;
  format: Format;
}

interface UpdateOptions {
  setRoles?: string[];
  setLogins?: string[];
  format: Format;
}

type ResetOptions = Pick<AddOptions, "ttl" | "format">;
type UserLink = ResponseOf<"user.invite">;

export function addUserCommands(program: Command, tctl: Tctl): void {
  const users = program.command("users").description("people who may log in");
  users
    .command("add")
    .description("create a user and print the link by which they set their password")
    .argument("<name>")
    .option("--roles <roles>", "roles, separated by commas", collectList)
    .option("--logins <logins>", "values of the trait logins", collectList)
    .option("--ttl <duration>", "how long the link is valid (1h by default, 48h at most)", parseDuration)
    .addOption(formatOption())
    .action((name: string, o: AddOptions) => tctl.run((rpc) => add(rpc, name, o)));
  users
    .command("update")
    .description("give a user other roles, or other values of the trait logins, in place of those they have")
    .argument("<name>")
    .option("--set-roles <roles>", "roles, separated by commas", collectList)
    .option("--set-logins <logins>", "values of the trait logins", collectList)
    .addOption(formatOption())
    .action((name: string, o: UpdateOptions) => tctl.run((rpc) => update(rpc, name, o)));
  users
    .command("ls")
    .description("list users")
    .addOption(formatOption())
    .action((o: { format: Format }) => tctl.run((rpc) => list(rpc, o.format)));
  users
    .command("reset")
    .description("take password, MFA devices and sessions from a user, and print the link by which they set new ones")
    .argument("<name>")
    .option("--ttl <duration>", "how long the link is valid (8h by default, 24h at most)", parseDuration)
    .addOption(formatOption())
    .action((name: string, o: ResetOptions) => tctl.run((rpc) => reset(rpc, name, o)));
  users
    .command("unlock")
    .description("let a user log in again whose account was locked by failed logins")
    .argument("<name>")
    .addOption(formatOption())
    .action((name: string, o: { format: Format }) => tctl.run((rpc) => unlock(rpc, name, o.format)));
  users
    .command("rm")
    .description("delete users")
    .argument("<names>", "names, separated by commas")
    .addOption(formatOption())
    .action((names: string, o: { format: Format }) =>
      tctl.run(async (rpc) => {
        const deleted = collectList(names, undefined);
        for (const name of deleted) {
          await rpc.call("resource.delete", { kind: "user", name });
          if (o.format === "text") print(`User "${name}" has been deleted\n`);
        }
        if (o.format !== "text") printAs(o.format, { deleted }, () => "");
      }),
    );
}

async function add(rpc: RpcClient, name: string, o: AddOptions): Promise<void> {
  if (o.roles === undefined || o.roles.length === 0) {
    throw new UsageError('a user needs at least one role: say --roles, for example "--roles=access"');
  }
  const invite = await rpc.call("user.invite", {
    name,
    roles: o.roles,
    ...(o.logins && { traits: { logins: o.logins } }),
    ...(o.ttl !== undefined && { ttl_seconds: o.ttl }),
  });
  const said = `User "${name}" has been created but requires a password. Share this URL with the user to complete user setup`;
  printLink(o.format, name, invite, said);
}

/** Conditional on what was read: two administrators do not undo each other. */
async function update(rpc: RpcClient, name: string, { setRoles, setLogins, format }: UpdateOptions): Promise<void> {
  if (setRoles === undefined && setLogins === undefined) {
    throw new UsageError("nothing to update: say --set-roles or --set-logins");
  }
  const user = await fetchUser(rpc, name);
  const spec = {
    ...user.spec,
    ...(setRoles && { roles: setRoles }),
    ...(setLogins && { traits: { ...user.spec.traits, logins: setLogins } }),
  };
  const { resource } = await rpc.call("resource.update", { resource: { ...user, spec } });
  const lines = [
    `User ${name} has been updated:`,
    ...(setRoles ? [`\tNew roles: ${setRoles.join(",")}`] : []),
    ...(setLogins ? [`\tNew logins: ${setLogins.join(",")}`] : []),
  ];
  printAs(format, resource, () => `${lines.join("\n")}\n`);
}

async function fetchUser(rpc: RpcClient, name: string): Promise<User> {
  const { resource } = await rpc.call("resource.get", { kind: "user", name });
  assert(resource.kind === "user", "Auth answers with the kind that was asked for");
  return resource;
}

async function reset(rpc: RpcClient, name: string, { ttl, format }: ResetOptions): Promise<void> {
  const link = await rpc.call("user.reset", { name, ...(ttl !== undefined && { ttl_seconds: ttl }) });
  printLink(
    format,
    name,
    link,
    `User "${name}" has been reset. Share this URL with the user to complete password reset`,
  );
}

function printLink(format: Format, user: string, { token, url, expires }: UserLink, said: string): void {
  printAs(format, { user, token, url, expires }, () => {
    const valid = humanDuration(Date.parse(expires) - Date.now());
    const host = URL.canParse(url) ? new URL(url).host : url;
    return (
      `${said}, link is valid for ${valid}:\n${url}\n\n` +
      `NOTE: Make sure ${host} points at a Teleport proxy which users can access.\n`
    );
  });
}

async function list(rpc: RpcClient, format: Format): Promise<void> {
  const users = await listAll(rpc, "user");
  printAs(format, users, () =>
    users.length === 0
      ? "No users found\n"
      : table(
          ["User", "Roles"],
          users.map((user) => [user.metadata.name, user.spec.roles.join(",")]),
        ),
  );
}

/** Lifts the lock that failed logins, or an administrator, put on the account. */
async function unlock(rpc: RpcClient, name: string, format: Format): Promise<void> {
  const user = await fetchUser(rpc, name);
  const { status: _, ...spec } = user.spec;
  const answer = await rpc.call("resource.update", { resource: { ...user, spec } });
  printAs(format, answer.resource, () => `User "${name}" may log in again\n`);
}
