import { userInfo } from "node:os";
import { join } from "node:path";
import { messageOf } from "../base/mod.ts";
import { LauncherError } from "./errors.ts";
import { findProgram } from "./programs.ts";

/** What sudo would take out of the environment and VNet's user process needs. */
const HANDED_ON = /^(TELEPORT_[A-Z_]+|SSL_CERT_(FILE|DIR)|(HTTPS?|NO|ALL)_PROXY)$/i;

/**
 * Turns this process into `command` under sudo, which keeps the terminal, asks for
 * the password itself and has the last word on signals and the exit code.
 *
 * @throws {LauncherError} when sudo is not installed
 */
export function becomeRoot(command: readonly string[], env: NodeJS.ProcessEnv): never {
  const sudo = findSudo(env);
  const handed = withHome(env);
  const names = Object.keys(handed).filter((name) => HANDED_ON.test(name));
  // Only what is there: to keep anything needs a right (SETENV) that not every sudoers rule gives.
  const keep = names.length > 0 ? [`--preserve-env=${names.join(",")}`] : [];
  return process.execve!(sudo, [sudo, ...keep, "--", ...command], handed) as never;
}

/** sudo sets HOME to the account's own; the logins meant are those of this shell. */
function withHome(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  if (env.TELEPORT_HOME || !env.HOME || env.HOME === userInfo().homedir) return env;
  return { ...env, TELEPORT_HOME: join(env.HOME, ".tsh") };
}

function findSudo(env: NodeJS.ProcessEnv): string {
  try {
    return findProgram("sudo", env.PATH);
  } catch (cause) {
    throw new LauncherError(
      `VNet needs root for a network device, routes and name servers, but ${messageOf(cause)}. ` +
        'Run "tsh vnet" as root, or "tsh vnet exec -- COMMAND", which needs no root',
      { cause },
    );
  }
}
