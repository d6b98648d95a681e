import { createLogger } from "../../base/mod.ts";
import { becomeRoot, launch } from "../../host/mod.ts";
import { ExitWith } from "../cli/program.ts";

export interface LauncherOptions {
  readonly allUsers: boolean;
  readonly debug: boolean;
  /** The subcommand that the user process runs. */
  readonly userProcess: string;
}

/** `sudo tsh vnet`, or `tsh vnet` which asks sudo itself. Ctrl-C is `launch`'s. */
export async function serveHost(o: LauncherOptions): Promise<void> {
  const node = [process.execPath, ...process.execArgv];
  if (process.getuid?.() !== 0) becomeRoot([...node, ...process.argv.slice(1)], process.env);
  const flags = o.debug ? ["--debug"] : [];
  const code = await launch({
    command: [...node, process.argv[1]!, ...flags, o.userProcess],
    env: process.env,
    allUsers: o.allUsers,
    log: createLogger({ level: o.debug ? "debug" : "warn", format: "text" }),
  });
  if (code !== 0) throw new ExitWith(code);
}
