import { writeFile } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { fileFault, OperationError } from "../../base/mod.ts";
import {
  DEFAULT_CONFIG_FILE,
  loadTeleportConfig,
  parseTeleportConfig,
  type StartingFileOptions,
  startingFile,
} from "../../config/mod.ts";
import { collectList } from "../cli/arguments.ts";
import { print, say, UsageError } from "../cli/program.ts";

/** The configuration file cannot be written, or is there already. */
export class ConfigureError extends OperationError {
  readonly code = "teleport.configure";
}

interface Flags extends Omit<StartingFileOptions, "caPins" | "proxyServer"> {
  caPin?: string[];
  proxy?: string;
  output: string;
  silent: boolean;
  test?: string;
}

export function addConfigureCommand(program: Command): void {
  program
    .command("configure")
    .description("print, or write, a commented configuration file to begin with")
    .option("--cluster-name <name>", "name of the cluster, for ever")
    .option("--node-name <name>", "name of this host")
    .option("--data-dir <path>", "where to keep state")
    .option("--roles <roles>", "services: auth, proxy, app (by default auth and proxy)", collectList)
    .option("--public-addr <address>", "address of the proxy for users, HOST or HOST:PORT (443)")
    .option("--cert-file <path>", "the proxy's web certificate, with --key-file")
    .option("--key-file <path>", "its key")
    .option("--token <token>", "join token, or the absolute path of a file with it")
    .option("--ca-pin <pin>", "CA pin of the cluster to join", collectList)
    .option("--auth-server <address>", "Auth Service to join, HOST:PORT")
    .option("--proxy <address>", "proxy to join through, HOST:PORT")
    .option("--app-name <name>", "an app to serve, with --app-uri")
    .option("--app-uri <uri>", "where it is, as tcp://localhost:5432")
    .option("-o, --output <where>", `stdout, file (${DEFAULT_CONFIG_FILE}) or file:///PATH`, "stdout")
    .option("--silent", "say nothing of what to do next", false)
    .option("--test <file>", "only check this configuration file")
    .action(configure);
}

async function configure({ caPin, proxy, output, silent, test, ...flags }: Flags): Promise<void> {
  if (test !== undefined) return checkFile(test);
  const text = startingFile({ ...flags, caPins: caPin, proxyServer: proxy });
  const path = pathOf(output);
  // What this program writes it must also take.
  parseTeleportConfig(text, path ?? "teleport.yaml");
  if (path === undefined) return print(text);
  await write(path, text);
  if (silent) return;
  say(`Wrote ${path}. Look it over, then start the services:\n\n  teleport start --config=${path}\n`);
}

async function checkFile(file: string): Promise<void> {
  const { warnings } = await loadTeleportConfig(file);
  for (const warning of warnings) say(`WARNING: ${warning}\n`);
  print(`${file} is a valid configuration\n`);
}

/** `undefined`: standard output. */
function pathOf(output: string): string | undefined {
  if (output === "stdout") return undefined;
  if (output === "file") return DEFAULT_CONFIG_FILE;
  const path = output.startsWith("file://") ? fileURLToPath(output) : output;
  if (!isAbsolute(path)) throw new UsageError("--output: expected stdout, file, or file:// and an absolute path");
  return path;
}

/** Never over an existing file; 0600, since a join token may be in it. */
async function write(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { flag: "wx", mode: 0o600 });
  } catch (cause) {
    const exists = cause instanceof Error && "code" in cause && cause.code === "EEXIST";
    const why = exists
      ? `${path} exists already: move it away, or choose another place by --output=file:///PATH`
      : `cannot write ${path}: ${fileFault(cause, "write")}; or choose another place by --output=file:///PATH`;
    throw new ConfigureError(why, { cause });
  }
}
