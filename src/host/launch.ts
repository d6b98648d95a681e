import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import type { Duplex } from "node:stream";
import { type Logger, messageOf, OperationError, systemClock } from "../base/mod.ts";
import { type DnsManager, HostConfig, hostResolvers, resolvConfPaths } from "../oscfg/mod.ts";
import { openTunDescriptor, TUN_QUEUE_LEN } from "../tun/mod.ts";
import { type Account, callingAccount, cleanEnvironment } from "./account.ts";
import { type ApplyRequest, readMessages, writeMessage } from "./channel.ts";
import { LauncherError } from "./errors.ts";
import { Guard } from "./guard.ts";
import { hostOs } from "./host-os.ts";
import { GOODBYE_MS, KILL_GRACE_MS, MAX_PENDING_STATES } from "./limits.ts";
import { findProgram } from "./programs.ts";
import { describeOwner } from "./running.ts";
import { type HostWatch, watchHost } from "./watch.ts";

export interface LaunchOptions {
  /** The user process: program and arguments. It calls `attachLauncher` first of all. */
  command: readonly string[];
  /** The launcher's environment: SUDO_UID, TELEPORT_HOME, and what the user process may inherit. */
  env: NodeJS.ProcessEnv;
  /** Lets every local user in, not only the one who started it. */
  allUsers: boolean;
  /** Whom to tell about VNet's names; found out when absent. */
  dnsManager?: DnsManager;
  /** A range that the wanted states may have though it is not a private one. */
  allowedRange?: string;
  log: Logger;
  /** Ends it all, as SIGINT, SIGTERM and SIGHUP do. */
  signal?: AbortSignal;
}

/** Nobody else's: libvirt calls its devices vnet0 and so on, and the guard deletes this one by name. */
const DEVICE = "tsh-vnet";

/**
 * Root's side of `sudo tsh vnet`: opens the TUN, starts the unprivileged user
 * process with it, and carries out the states that this wants. It reads nothing
 * else and holds no key. Resolves when the user process has ended and everything
 * is undone, with the exit code to use.
 *
 * @throws {LauncherError | ProgramMissingError | TunUnavailableError}
 */
export async function launch(options: LaunchOptions): Promise<number> {
  if (process.geteuid!() !== 0) throw new LauncherError('VNet changes routes and name servers: run "sudo tsh vnet"');
  const account = callingAccount(options.env);
  if (account.uid === 0) options.log.warn({}, "no other user found: VNet runs as root, without any capability");
  const paths = resolvConfPaths();
  const guard = await Guard.start(DEVICE, paths, describeOwner(account));
  let exited: Promise<number>;
  try {
    const os = hostOs(DEVICE, paths);
    const resolvers = await hostResolvers(os, paths, options.dnsManager);
    const config = new HostConfig(os, resolvers, {
      device: DEVICE,
      queueLen: TUN_QUEUE_LEN,
      users: options.allUsers ? "all" : account.uid,
      clock: systemClock,
      ...(options.allowedRange !== undefined && { allowedRange: options.allowedRange }),
    });
    await config.report(); // Where the host cannot be understood, nothing is begun.
    const child = startUserProcess(options, account);
    exited = exitOf(child);
    using watch = watchHost(config, channelOf(child), options.log);
    serve(child, config, watch, options.log);
    await Promise.race([exited, ending(child, exited, options.signal)]);
    await config.close();
  } finally {
    await guard.undo();
  }
  return exited;
}

function startUserProcess(options: LaunchOptions, account: Account): ChildProcess {
  const { fd } = openTunDescriptor(DEVICE);
  const args = [
    ...["--reuid", `${account.uid}`, "--regid", `${account.gid}`, "--init-groups"],
    ...["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--pdeathsig", "KILL", "--"],
    ...options.command,
  ];
  try {
    return spawn(findProgram("setpriv", ""), args, {
      stdio: ["inherit", "inherit", "inherit", fd, "pipe"],
      env: cleanEnvironment(account, options.env),
    });
  } finally {
    closeSync(fd); // The user process has the only one, so that the device ends with it.
  }
}

/** Applies states one after another, in the order in which they came. */
function serve(child: ChildProcess, config: HostConfig, watch: HostWatch, log: Logger): void {
  const channel = channelOf(child);
  let last = Promise.resolve();
  let pending = 0;
  readMessages(channel, (message) => {
    if (!isRequest(message) || pending >= MAX_PENDING_STATES) {
      log.error({}, "the user process sent what is no wanted state; VNet ends");
      child.kill("SIGKILL");
      return;
    }
    pending++;
    last = last
      .then(() => apply(config, message, channel, log))
      .then(() => watch.look())
      .finally(() => pending--);
  });
}

async function apply(config: HostConfig, { id, state }: ApplyRequest, channel: Duplex, log: Logger): Promise<void> {
  try {
    await config.apply(state);
    writeMessage(channel, { id, ok: true });
  } catch (error) {
    const code = error instanceof OperationError ? error.code : "host.launcher";
    log.debug({ code, error: messageOf(error) }, "a wanted state was not applied");
    writeMessage(channel, { id, ok: false, code, message: messageOf(error) });
  }
}

function isRequest(message: unknown): message is ApplyRequest {
  return typeof message === "object" && message !== null && "state" in message && "id" in message;
}

function channelOf(child: ChildProcess): Duplex {
  const channel = child.stdio[4] as Duplex;
  channel.on("error", () => {}); // EPIPE: the end of the child says it all.
  return channel;
}

const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", (cause) => reject(new LauncherError("the user process did not start", { cause })));
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

/**
 * Resolves a little after the end has begun, by a signal or because the user
 * process has let go of its channel: its goodbyes to clusters may take longer than
 * the host should wait for its name servers. SIGKILL if they take too long.
 */
function ending(child: ChildProcess, exited: Promise<number>, signal: AbortSignal | undefined): Promise<void> {
  const channel = channelOf(child);
  return new Promise((resolve) => {
    let begun = false;
    const begin = () => {
      if (begun) return;
      begun = true;
      channel.end();
      const goodbye = setTimeout(resolve, GOODBYE_MS);
      const kill = setTimeout(() => child.kill("SIGKILL"), KILL_GRACE_MS);
      void exited
        .catch(() => {})
        .then(() => {
          clearTimeout(goodbye);
          clearTimeout(kill);
        });
    };
    // Kept to the end of the process: a second Ctrl-C must not end it before everything is undone.
    for (const name of ENDING_SIGNALS) process.on(name, begin);
    channel.once("end", begin);
    if (signal?.aborted) begin();
    signal?.addEventListener("abort", begin, { once: true });
  });
}
