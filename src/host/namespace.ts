import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, readFileSync, writeSync } from "node:fs";
import { isatty } from "node:tty";
import { fileURLToPath } from "node:url";
import { adoptTun, receiveDescriptor, socketPair, type TunDevice, TunUnavailableError } from "../tun/mod.ts";
import { NamespaceError } from "./errors.ts";
import { KILL_GRACE_MS, NAMESPACE_SETUP_MS } from "./limits.ts";
import type { HelperAnswer, HelperSetup } from "./namespace-helper.ts";
import { findProgram } from "./programs.ts";

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
  /** Of the command, whose network namespace it is. */
  readonly pid: number;
  readonly exited: Promise<CommandEnd>;
  kill(signal: NodeJS.Signals): void;
}

/** The helper sets the namespace up, then the shell turns into the command: one process all along. */
const SCRIPT = `
setup=$1; node=$2; helper=$3; shift 3
"$node" --disable-warning=ExperimentalWarning "$helper" "$setup" </dev/null || exit 125
exec 3>&-
exec "$@"
`;

const HELPER = fileURLToPath(new URL("./namespace-helper.ts", import.meta.url));

/**
 * Runs a command in a network namespace whose only network is the TUN, with a
 * `resolv.conf` of its own. The child process is the command itself, in the
 * caller's process group and terminal, so exit code and signals are its own.
 * It is killed when this process dies.
 *
 * Root keeps all it may do; an ordinary user gets the namespace's network by
 * way of a user namespace, and its own uid back in a second one inside.
 *
 * @throws {NamespaceError | ProgramMissingError | TunUnavailableError}
 */
export async function runInNamespace(options: NamespaceOptions): Promise<NamespaceRun> {
  const unshare = findProgram("unshare");
  const args = unshareArguments(options);
  const [ours, theirs] = socketPair();
  const child = spawn(unshare, args, {
    stdio: ["inherit", "inherit", "inherit", theirs],
    ...(options.env && { env: options.env }),
  });
  closeSync(theirs);
  const exited = endOf(child);
  const stopForwarding = forwardSignals(child);
  void exited.finally(stopForwarding);
  try {
    const tun = await receiveTun(ours, options.mtu);
    writeSync(ours, "\n"); // The command may start.
    endOnAbort(child, exited, options.signal);
    return { tun, pid: child.pid!, exited, kill: (signal) => void child.kill(signal) };
  } catch (error) {
    child.kill("SIGKILL");
    const { signal } = await exited;
    throw signal === null || signal === "SIGKILL" ? error : new NamespaceError(`ended by ${signal} before it began`);
  } finally {
    closeSync(ours);
  }
}

function unshareArguments(options: NamespaceOptions): string[] {
  const rootAlready = hasCapabilities();
  const setup: HelperSetup = {
    ip: findProgram("ip"),
    mount: findProgram("mount"),
    umount: findProgram("umount"),
    addresses: options.addresses,
    routes: options.routes,
    dns: options.dns,
    mtu: options.mtu,
    gid: process.getgid!(),
    userNamespace: !rootAlready,
  };
  const command = [findProgram("setpriv"), "--pdeathsig", "KILL", "--", ...options.command];
  const uid = [`--map-user=${process.getuid!()}`, `--map-group=${process.getgid!()}`];
  return [
    rootAlready ? "-nm" : "-Urnm",
    findProgram("sh"),
    ...["-c", SCRIPT, "sh", JSON.stringify(setup), process.execPath, HELPER],
    ...(rootAlready ? command : [findProgram("unshare"), "-U", ...uid, "--", ...command]),
  ];
}

const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;

/** Root in a container may lack them, and needs the user namespace like anyone else. */
function hasCapabilities(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  const capabilities = BigInt(`0x${effective ?? "0"}`);
  const needed = (1n << CAP_NET_ADMIN) | (1n << CAP_SYS_ADMIN);
  return (capabilities & needed) === needed;
}

async function receiveTun(socket: number, mtu: number): Promise<TunDevice> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    const late = new NamespaceError(`the command's network was not ready after ${NAMESPACE_SETUP_MS / 1000} s`);
    timer = setTimeout(() => reject(late), NAMESPACE_SETUP_MS);
  });
  try {
    const { descriptor, data } = await Promise.race([receiveDescriptor(socket), timeout]);
    if (descriptor !== undefined) return adoptTun(descriptor, { mtu });
    throw data.length === 0 ? new NamespaceError(whyNoNamespace()) : failure(data);
  } finally {
    clearTimeout(timer);
  }
}

function failure(data: Uint8Array): Error {
  const { code, message } = JSON.parse(new TextDecoder().decode(data)) as HelperAnswer;
  return code === "tun.unavailable" ? new TunUnavailableError(message) : new NamespaceError(message);
}

/** `unshare` has said no on stderr; this names what forbids it. */
function whyNoNamespace(): string {
  for (const [name, forbidding, setting] of FORBIDDING_SETTINGS) {
    const path = `/proc/sys/${name.replaceAll(".", "/")}`;
    if (settingAt(path) === forbidding)
      return `user namespaces are forbidden here: "sysctl -w ${setting}" as root allows them`;
  }
  return 'no network namespace could be made for the command; "unshare -Urnm true" must work for this user (containers: allow it in the seccomp profile, or run as root)';
}

const FORBIDDING_SETTINGS = [
  ["user.max_user_namespaces", "0", "user.max_user_namespaces=10000"],
  ["user.max_net_namespaces", "0", "user.max_net_namespaces=10000"],
  ["kernel.unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"],
  ["kernel.apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"],
] as const;

function settingAt(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined; // Kernels differ in which of these they have.
  }
}

function endOf(child: ChildProcess): Promise<CommandEnd> {
  return new Promise((resolve) => {
    child.once("error", () => resolve({ code: 125, signal: null }));
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
}

/**
 * Signals meant for us are the command's. Ctrl-C at a terminal reaches the
 * whole process group, so the command has it already; we only outlive it.
 */
function forwardSignals(child: ChildProcess): () => void {
  const terminal = [0, 1, 2].some((fd) => isatty(fd));
  const handlers = FORWARDED.map((signal) => {
    const fromKeyboard = terminal && (signal === "SIGINT" || signal === "SIGQUIT");
    const handler = () => void (fromKeyboard || child.kill(signal));
    process.on(signal, handler);
    return () => void process.removeListener(signal, handler);
  });
  return () => {
    for (const remove of handlers) remove();
  };
}

const FORWARDED = ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP"] as const satisfies readonly NodeJS.Signals[];

function endOnAbort(child: ChildProcess, exited: Promise<CommandEnd>, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  let timer: NodeJS.Timeout | undefined;
  const end = () => {
    child.kill("SIGTERM");
    timer = setTimeout(() => child.kill("SIGKILL"), KILL_GRACE_MS);
  };
  if (signal.aborted) end();
  else signal.addEventListener("abort", end, { once: true });
  void exited.then(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  });
}
