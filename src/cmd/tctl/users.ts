import type { Command } from "commander";
import type { RpcClient } from "../../rpc/mod.ts";
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
    .command("ls")
    .description("list users")
    .addOption(formatOption())
    .action((o: { format: Format }) => tctl.run((rpc) => list(rpc, o.format)));
  users
    .command("unlock")
    .description("let a user log in again whose account was locked by failed logins")
    .argument("<name>")
    .action((name: string) => tctl.run((rpc) => unlock(rpc, name)));
  users
    .command("rm")
    .description("delete users")
    .argument("<names>", "names, separated by commas")
    .action((names: string) =>
      tctl.run(async (rpc) => {
        for (const name of collectList(names, undefined)) {
          await rpc.call("resource.delete", { kind: "user", name });
          print(`User "${name}" has been deleted\n`);
        }
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
  printAs(o.format, { user: name, token: invite.token, url: invite.url, expires: invite.expires }, () => {
    const valid = humanDuration(Date.parse(invite.expires) - Date.now());
    const host = URL.canParse(invite.url) ? new URL(invite.url).host : invite.url;
    return (
      `User "${name}" has been created but requires a password. Share this URL with the user to complete user setup, ` +
      `link is valid for ${valid}:\n${invite.url}\n\n` +
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
async function unlock(rpc: RpcClient, name: string): Promise<void> {
  const { resource } = await rpc.call("resource.get", { kind: "user", name });
  if (resource.kind !== "user") return;
  const { status: _, ...spec } = resource.spec;
  await rpc.call("resource.update", { resource: { ...resource, spec } });
  print(`User "${name}" may log in again\n`);
}
