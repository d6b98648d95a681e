import { createLogger } from "../../base/mod.ts";
import { becomeRoot, type DnsManager, launch } from "../../host/mod.ts";
import { ExitWith } from "../cli/program.ts";
import type { HostFlags } from "./vnet.ts";

export interface LauncherFlags extends HostFlags {
  readonly allUsers: boolean;
  readonly dnsManager?: DnsManager;
}

export interface LauncherOptions extends LauncherFlags {
  readonly debug: boolean;
  /** The subcommand that the user process runs. */
  readonly userProcess: string;
}

/** `sudo tsh vnet`, or `tsh vnet` which asks sudo itself. Ctrl-C is `launch`'s. */
export async function serveHost(o: LauncherOptions): Promise<void> {
  const node = [process.execPath, ...process.execArgv];
  if (process.getuid?.() !== 0) becomeRoot([...node, ...process.argv.slice(1)], process.env);
  const code = await launch({
    command: [...node, process.argv[1]!, ...(o.debug ? ["--debug"] : []), o.userProcess, ...flagsOf(o)],
    env: process.env,
    allUsers: o.allUsers,
    ...(o.dnsManager !== undefined && { dnsManager: o.dnsManager }),
    ...(o.ipv4Cidr !== undefined && { allowedRange: o.ipv4Cidr }),
    log: createLogger({ level: o.debug ? "debug" : "warn", format: "text" }),
  });
  if (code !== 0) throw new ExitWith(code);
}

/** Those that are the user process's to follow. */
function flagsOf({ ipv4Cidr, ipv4Only, diagAddr }: HostFlags): string[] {
  return [
    ...(ipv4Cidr === undefined ? [] : [`--ipv4-cidr=${ipv4Cidr}`]),
    ...(ipv4Only ? ["--ipv4-only"] : []),
    ...(diagAddr === undefined ? [] : [`--diag-addr=${diagAddr}`]),
  ];
}
