import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { CommandNotFoundError, ProgramMissingError } from "./errors.ts";

/** System programs and the Debian package of each. */
const PACKAGES = {
  ip: "iproute2",
  unshare: "util-linux",
  setpriv: "util-linux",
  mount: "mount",
  umount: "mount",
  sh: "dash",
  flock: "util-linux",
  getent: "libc-bin",
  sudo: "sudo",
  resolvconf: "openresolv",
} as const;

/** An ordinary user's PATH often lacks the last two, where `ip` lives. */
const SYSTEM_DIRS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** The full path of a system program. @throws {ProgramMissingError} */
export function findProgram(program: keyof typeof PACKAGES, path = process.env.PATH ?? ""): string {
  for (const dir of [...path.split(delimiter).filter((part) => part.startsWith("/")), ...SYSTEM_DIRS]) {
    const file = join(dir, program);
    if (isExecutable(file)) return file;
  }
  throw new ProgramMissingError(program, PACKAGES[program]);
}

/**
 * Makes sure, as far as can be known before it is run, that execvp(3) will find the command.
 *
 * @throws {CommandNotFoundError}
 */
export function requireCommand(command: string, path = process.env.PATH ?? ""): void {
  const candidates = command.includes("/")
    ? [command]
    : path.split(delimiter).map((dir) => join(dir === "" ? "." : dir, command));
  const found = candidates.filter(isFile);
  if (found.some(isExecutable)) return;
  throw new CommandNotFoundError(command, found[0]);
}

/** Not where a directory on the way may not be searched: execvp(3) goes on to the next one too. */
function isFile(file: string): boolean {
  try {
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Root's programs are taken from the system's directories only, whatever PATH says. */
export function systemPath(): string {
  return SYSTEM_DIRS.join(delimiter);
}
