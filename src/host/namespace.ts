import type { TunDevice } from "../tun/mod.ts";

export interface NamespaceOptions {
  /** Program and arguments. Its uid, gid, directory, stdin, stdout, stderr and terminal are the caller's. */
  command: readonly string[];
  /** Of the TUN inside, in CIDR text: `100.64.0.1/32`, `fd12:3456:789a:1::1/64`. */
  addresses: readonly string[];
  /** CIDRs that lead into the TUN. */
  routes: readonly string[];
  /** Name servers inside. */
  dns: readonly string[];
  mtu: number;
  env?: NodeJS.ProcessEnv;
  /** Ends the command: SIGTERM, then SIGKILL after 2 s. */
  signal?: AbortSignal;
}

export interface CommandEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface NamespaceRun {
  /** The caller starts and closes it; the network inside ends with the later of it and the command. */
  readonly tun: TunDevice;
  readonly exited: Promise<CommandEnd>;
  kill(signal: NodeJS.Signals): void;
}

/**
 * Runs a command in a network namespace whose only network is the TUN.
 *
 * @throws {NamespaceError | ProgramMissingError | TunUnavailableError}
 */
export async function runInNamespace(_options: NamespaceOptions): Promise<NamespaceRun> {
  throw new Error("not yet");
}
