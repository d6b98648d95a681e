import { spawn } from "node:child_process";
import { createLogger } from "../../base/mod.ts";
import { launch } from "../../host/mod.ts";
import { ExitWith, exitCodeOf, interruption, UsageError } from "../cli/program.ts";

/** Run by the root launcher under the user's own uid; nobody types it. */
export const USER_PROCESS = "vnet-user-process";

export interface LauncherOptions {
  readonly allUsers: boolean;
  readonly debug: boolean;
}

/** `sudo tsh vnet`, or `tsh vnet` which asks sudo itself. */
export async function serveHost(o: LauncherOptions): Promise<void> {
  if (process.getuid?.() !== 0) throw new ExitWith(await again("sudo"));
  const self = [process.execPath, ...process.execArgv, process.argv[1]!];
  const flags = o.debug ? ["--debug"] : [];
  const code = await launch({
    command: [...self, ...flags, USER_PROCESS],
    env: process.env,
    allUsers: o.allUsers,
    log: createLogger({ level: o.debug ? "debug" : "warn", format: "text" }),
    signal: interruption(),
  });
  if (code !== 0) throw new ExitWith(code);
}

/** The same command under sudo, which keeps the terminal and asks for the password itself. */
function again(sudo: string): Promise<number> {
  const kept = "TELEPORT_HOME,TELEPORT_DEBUG,SSL_CERT_FILE,SSL_CERT_DIR";
  const args = [`--preserve-env=${kept}`, "--", process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  return new Promise((resolve, reject) => {
    const child = spawn(sudo, args, { stdio: "inherit" });
    // Ctrl-C reaches both through the terminal; this side waits for the other's clean end.
    process.on("SIGINT", () => {});
    process.on("SIGTERM", () => child.kill("SIGTERM"));
    child.on("error", (cause) =>
      reject(new UsageError(`VNet needs root for the network device, and ${sudo} cannot be run: ${cause.message}`)),
    );
    child.on("exit", (code, signal) => resolve(exitCodeOf({ code, signal })));
  });
}
