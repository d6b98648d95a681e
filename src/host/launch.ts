import type { Logger } from "../base/mod.ts";

export interface LaunchOptions {
  /** The user process: program and arguments. It calls `attachLauncher` first of all. */
  command: readonly string[];
  /** The launcher's environment: SUDO_UID, TELEPORT_HOME, and what the user process may inherit. */
  env: NodeJS.ProcessEnv;
  /** Lets every local user in, not only the one who started it. */
  allUsers: boolean;
  log: Logger;
  signal?: AbortSignal;
}

/**
 * Root's side of `sudo tsh vnet`. Resolves when the user process has ended and
 * everything is undone, with the exit code to use.
 */
export async function launch(_options: LaunchOptions): Promise<number> {
  throw new Error("not yet");
}
