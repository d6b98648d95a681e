import type { Links } from "./resolved.ts";

/** The part of the operating system that is not a file. */
export interface Os extends Links {
  /** Runs `ip` and returns its output. @throws {OsCommandError} */
  ip(args: readonly string[]): Promise<string>;
  /** Runs `resolvconf` and returns its output. @throws {OsCommandError} where there is none, too */
  resolvconf(args: readonly string[], input: string): Promise<string>;
  hasIpv6(): boolean;
  /** Runs `undo_resolv_conf` of `undoScript`. */
  restoreResolvConf(): Promise<void>;
}
