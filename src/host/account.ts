import { execFileSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { findProgram, systemPath } from "./programs.ts";

/** Whose VNet it is: the user process runs as this one. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

export const ROOT: Account = { name: "root", uid: 0, gid: 0, home: "/root" };

/**
 * The user who said `sudo`; else the owner of TELEPORT_HOME; else root, whose
 * user process then runs without any capability.
 */
export function callingAccount(env: NodeJS.ProcessEnv): Account {
  const uids = [env.SUDO_UID, ownerOf(env.TELEPORT_HOME)];
  for (const uid of uids) {
    // What is not in passwd is not believed.
    const account = uid !== undefined && /^\d{1,10}$/.test(uid) ? lookup(uid) : undefined;
    if (account !== undefined && account.uid !== 0) return account;
  }
  return lookup("0") ?? ROOT;
}

function ownerOf(directory: string | undefined): string | undefined {
  if (directory === undefined || !existsSync(directory)) return undefined;
  return String(statSync(directory).uid);
}

/** Through `getent`, so that accounts of a directory service count too. */
function lookup(uid: string): Account | undefined {
  try {
    const line = execFileSync(findProgram("getent", ""), ["passwd", uid], { encoding: "utf8", env: {} });
    return accountIn(line, Number(uid));
  } catch {
    return undefined;
  }
}

/** A line of passwd(5), if it is about `uid`. */
export function accountIn(line: string, uid: number): Account | undefined {
  const [name, , uidText, gid, , home] = line.trimEnd().split(":");
  if (!name || Number(uidText) !== uid || !gid || !home?.startsWith("/")) return undefined;
  return { name, uid, gid: Number(gid), home };
}

/** Passed on as they are; all else of root's environment stays with root. */
const KEPT =
  /^(TERM|COLORTERM|NO_COLOR|LANG|LANGUAGE|LC_[A-Z]+|TZ|TELEPORT_[A-Z_]+|SSL_CERT_(FILE|DIR)|(HTTPS?|NO|ALL)_PROXY)$/i;

/** The user process's whole environment. */
export function cleanEnvironment(account: Account, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => KEPT.test(name));
  const runtimeDir = `/run/user/${account.uid}`;
  return {
    ...Object.fromEntries(kept),
    PATH: systemPath(),
    HOME: account.home,
    USER: account.name,
    LOGNAME: account.name,
    ...(existsSync(runtimeDir) && { XDG_RUNTIME_DIR: runtimeDir }),
  };
}
