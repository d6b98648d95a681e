import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import { stringify } from "yaml";
import {
  maskedToken,
  parseTokenRole,
  parseValue,
  TOKEN_ROLES,
  type Token,
  type TokenRole,
  tokenName,
  unknownWord,
} from "../../api/mod.ts";
import type { RpcClient } from "../../rpc/mod.ts";
import { collectList, type Format, formatOption, parseCount, parseDuration } from "../cli/arguments.ts";
import { humanDuration, labelsText, printAs } from "../cli/format.ts";
import { listAll } from "../cli/list-all.ts";
import { print, UsageError } from "../cli/program.ts";
import { table } from "../cli/table.ts";
import type { Tctl } from "./tctl.ts";

const DEFAULT_TTL_SECONDS = 30 * 60;

interface AddOptions {
  type?: string[];
  value?: string;
  ttl?: number;
  appNames?: string[];
  publicAddrs?: string[];
  maxUses?: number;
  format?: Format;
}

export function addTokenCommands(program: Command, tctl: Tctl): void {
  const tokens = program.command("tokens").description("tokens by which services join the cluster");
  tokens
    .command("add")
    .description("create a token; anybody who has it can join a service until it expires")
    .option("--type <roles>", "what may join by it: app, proxy, trusted_cluster", collectList)
    .option("--value <token>", "the token itself (random by default)")
    .option("--ttl <duration>", "how long it is valid (30m by default)", parseDuration)
    .option("--app-names <patterns>", "apps that its hosts may announce, as db-* (by default all)", collectList)
    .option("--public-addrs <patterns>", "public addresses that they may announce (by default all)", collectList)
    .option("--max-uses <number>", "how many hosts may join by it (by default any number)", parseCount)
    .option("--format <format>", "text prints just the token; json, yaml")
    .action((o: AddOptions) => tctl.run((rpc) => add(rpc, o)));
  tokens
    .command("ls")
    .description("list tokens")
    .option("--with-secrets", "print the tokens themselves", false)
    .addOption(formatOption())
    .action((o: { withSecrets: boolean; format: Format }) => tctl.run((rpc) => list(rpc, o.withSecrets, o.format)));
  tokens
    .command("rm")
    .description("delete a token")
    .argument("<token>")
    .addOption(formatOption())
    .action((token: string, o: { format: Format }) =>
      tctl.run(async (rpc) => {
        await rpc.call("resource.delete", { kind: "token", name: token });
        printAs(o.format, { deleted: token }, () => `Token ${token} has been deleted\n`);
      }),
    );
}

async function add(rpc: RpcClient, o: AddOptions): Promise<void> {
  const roles = (o.type ?? []).map(roleOf);
  if (roles.length === 0) throw new UsageError('say what may join by the token, for example "--type=app"');
  const value = parseValue(tokenName, o.value ?? randomBytes(16).toString("hex"), "--value");
  const ttl = o.ttl ?? DEFAULT_TTL_SECONDS;
  const expires = new Date(Date.now() + ttl * 1000).toISOString();
  await rpc.call("resource.create", {
    resource: { kind: "token", version: "v2", metadata: { name: value, expires }, spec: { roles, ...boundsOf(o) } },
  });
  switch (o.format) {
    case "text":
      return print(`${value}\n`);
    case "json":
      return print(`${JSON.stringify({ token: value, roles, expires }, undefined, 4)}\n`);
    case "yaml":
      return print(stringify({ token: value, roles, expires }));
    case undefined:
      return print(await instructions(rpc, value, roles, ttl));
  }
}

function boundsOf({ appNames, publicAddrs, maxUses }: AddOptions) {
  return {
    ...(appNames && { app_names: appNames }),
    ...(publicAddrs && { public_addrs: publicAddrs }),
    ...(maxUses !== undefined && { max_uses: maxUses }),
  };
}

function roleOf(word: string): TokenRole {
  const role = parseTokenRole(word);
  if (role === undefined) {
    throw new UsageError(`--type: ${unknownWord("role", word, TOKEN_ROLES)} (app, proxy or trusted_cluster)`);
  }
  return role;
}

async function instructions(rpc: RpcClient, token: string, roles: readonly string[], ttl: number): Promise<string> {
  if (roles.includes("TrustedCluster")) return leafInstructions(rpc, token, ttl);
  const [{ ca_pins }, { proxies }] = await Promise.all([rpc.call("cluster.status", {}), rpc.call("cluster.ping", {})]);
  const proxy = proxies[0] ?? "PROXY:443";
  const pins = ca_pins.map((pin) => `    ca_pin: ${pin}\n`).join("");
  return (
    `The invite token: ${token}\n` +
    `This token will expire in ${humanDuration(ttl * 1000)}. It lets a service of type ${roles.join(", ")} join.\n\n` +
    `Put this into /etc/teleport.yaml of that service and start "teleport start":\n\n` +
    `  version: v3\n  teleport:\n    auth_token: ${token}\n    proxy_server: ${proxy}\n${pins}` +
    "  auth_service:\n    enabled: no\n  proxy_service:\n    enabled: no\n  ssh_service:\n    enabled: no\n" +
    "  app_service:\n    enabled: yes\n    apps:\n      - name: example-app\n        uri: tcp://localhost:5432\n\n" +
    `The service must be able to reach ${proxy}.\n`
  );
}

async function leafInstructions(rpc: RpcClient, token: string, ttl: number): Promise<string> {
  const { cluster_name, proxies } = await rpc.call("cluster.ping", {});
  return (
    `The cluster join token: ${token}\n` +
    `This token will expire in ${humanDuration(ttl * 1000)}. It lets another cluster become a leaf of this one.\n\n` +
    `Create this in the leaf with "tctl create":\n\n` +
    `  kind: trusted_cluster\n  version: v2\n  metadata:\n    name: ${cluster_name}\n  spec:\n    enabled: true\n` +
    `    token: ${token}\n    web_proxy_addr: ${proxies[0] ?? "PROXY_HOST:PORT"}\n` +
    "    role_map:\n      - remote: access\n        local: [access]\n"
  );
}

async function list(rpc: RpcClient, withSecrets: boolean, format: Format): Promise<void> {
  const tokens = await listAll(rpc, "token");
  tokens.sort((a, b) => expiryOf(a) - expiryOf(b));
  const shown = withSecrets ? tokens : tokens.map(masked);
  switch (format) {
    case "json":
      return print(`${JSON.stringify(shown, undefined, 4)}\n`);
    case "yaml":
      return print(shown.map((token) => stringify(token)).join("---\n"));
    case "text":
      return print(
        shown.length === 0
          ? "No active tokens found.\n"
          : table(
              ["Token", "Type", "Labels", "Expiry Time (UTC)"],
              shown.map((token) => [
                token.metadata.name,
                token.spec.roles.join(","),
                labelsText(token.metadata.labels),
                expiryText(token),
              ]),
            ),
      );
  }
}

function expiryOf(token: Token): number {
  return token.metadata.expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(token.metadata.expires);
}

function expiryText(token: Token): string {
  const { expires } = token.metadata;
  if (expires === undefined) return "never";
  const left = humanDuration(Date.parse(expires) - Date.now());
  return `${new Date(expires).toUTCString().replace("GMT", "UTC")} (${left})`;
}

/** The token without what makes it one. */
export function masked(token: Token): Token {
  return { ...token, metadata: { ...token.metadata, name: maskedToken(token.metadata.name) } };
}
