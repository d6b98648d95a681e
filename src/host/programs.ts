import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { ProgramMissingError } from "./errors.ts";

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
} as const;

/** An ordinary user's PATH often lacks the last two, where `ip` lives. */
const SYSTEM_DIRS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** The full path of a system program. @throws {ProgramMissingError} */
export function findProgram(program: keyof typeof PACKAGES, path = process.env.PATH ?? ""): string {
  for (const dir of [...path.split(delimiter).filter((part) => part.startsWith("/")), ...SYSTEM_DIRS]) {
    const file = join(dir, program);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not in this directory.
    }
  }
  throw new ProgramMissingError(program, PACKAGES[program]);
}

/** Root's programs are taken from the system's directories only, whatever PATH says. */
export function systemPath(): string {
  return SYSTEM_DIRS.join(delimiter);
}
