/**
 * Real servers for VNet to reach: PostgreSQL, Redis, OpenSSH. Each has a
 * directory and a port of its own, runs on this machine or on a host of
 * namespaces, and ends with the test, even when that is killed.
 */
import { createServer } from "node:net";
import { Lifetime, sleep } from "../base/mod.ts";
import { type Machine, thisMachine } from "./hosts.ts";
import { postgresBinDir, programPath } from "./needs.ts";
import type { BackgroundProcess } from "./process.ts";

export interface ServerOptions {
  machine?: Machine;
  /** A free one by default. */
  port?: number;
}

export interface Server extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  readonly process: BackgroundProcess;
}

/** A port that was free a moment ago on this machine (and so, in practice, on any test host). */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** PostgreSQL with the superuser `postgres` and no password: `postgres://postgres@ADDRESS:PORT/postgres`. Needs "postgres". */
export async function startPostgres(options: ServerOptions & { maxConnections?: number } = {}): Promise<Server> {
  const { machine = thisMachine(), maxConnections = 100 } = options;
  const bin = postgresBinDir();
  if (bin === undefined) throw new Error("PostgreSQL is not installed (apt-get install postgresql)");
  const port = options.port ?? (await freePort());
  const settings = [
    `listen_addresses=${machine.address}`,
    `port=${port}`,
    `max_connections=${maxConnections}`,
    "unix_socket_directories=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
  ];
  return startServer(machine, port, "postgres", async (directory) => {
    const data = `${directory}/data`;
    const asUser = await droppingRoot(machine, directory, "postgres");
    const initdb = [`${bin}/initdb`, "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"];
    await machine.execOk([...asUser, ...initdb, "--locale=C.UTF-8"], { cwd: "/" });
    const rules = "host all all 0.0.0.0/0 trust\nhost all all ::/0 trust\n";
    await machine.execOk(["sh", "-c", `cat >>"$0"`, `${data}/pg_hba.conf`], { input: rules });
    return [...asUser, `${bin}/postgres`, "-D", data, ...settings.flatMap((setting) => ["-c", setting])];
  });
}

/** Needs "redis". */
export async function startRedis(options: ServerOptions = {}): Promise<Server> {
  const { machine = thisMachine() } = options;
  const port = options.port ?? (await freePort());
  return startServer(machine, port, "redis", async (directory) => [
    ...untilParentDies(),
    programPath("redis-server") ?? "redis-server",
    ...["--bind", machine.address, "--port", String(port), "--dir", directory, "--save", "", "--protected-mode", "no"],
  ]);
}

export interface SshServer extends Server {
  /** The client's private key, to be written into a 0600 file where `ssh` runs. */
  readonly privateKey: string;
  /** The server's line for `known_hosts`, less the host's name in front. */
  readonly hostKey: string;
}

/** OpenSSH with key login for the user who runs it (root on a host of namespaces). Needs "sshd" and "ssh". */
export async function startSshd(options: ServerOptions = {}): Promise<SshServer> {
  const { machine = thisMachine() } = options;
  const port = options.port ?? (await freePort());
  let privateKey = "";
  let hostKey = "";
  const server = await startServer(machine, port, "sshd", async (directory) => {
    const keygen = (name: string) =>
      machine.execOk(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", `${directory}/${name}`]);
    await Promise.all([keygen("host"), keygen("client")]);
    privateKey = await machine.execOk(["cat", `${directory}/client`]);
    hostKey = (await machine.execOk(["cat", `${directory}/host.pub`])).trim();
    // sshd insists on its directory for dropped privileges where it starts as root.
    await machine.exec(["mkdir", "-p", "/run/sshd"]);
    const settings = {
      ListenAddress: machine.address,
      Port: port,
      HostKey: `${directory}/host`,
      AuthorizedKeysFile: `${directory}/client.pub`,
      StrictModes: "no",
      PermitRootLogin: "yes",
      PasswordAuthentication: "no",
      UsePAM: "no",
      PidFile: "none",
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
    return [...untilParentDies(), programPath("sshd") ?? "sshd", "-D", "-e", "-f", "/dev/null", ...flags];
  });
  return { ...server, privateKey, hostKey };
}

/** Prepares a directory, starts the command that `prepare` answers in it, waits until its port accepts. */
async function startServer(
  machine: Machine,
  port: number,
  name: string,
  prepare: (directory: string) => Promise<string[]>,
): Promise<Server> {
  const lifetime = new Lifetime();
  try {
    const directory = (await machine.execOk(["mktemp", "-d", "-t", `vnet-${name}-XXXXXX`])).trim();
    lifetime.defer(async () => {
      await machine.exec(["rm", "-rf", directory]);
    });
    const process = machine.spawn(name, await prepare(directory), { cwd: "/" });
    // PostgreSQL takes SIGTERM as "when all clients have gone"; SIGINT ends every one of these at once.
    lifetime.defer(async () => {
      await process.stop("SIGINT");
    });
    await accepting(machine, process, port);
    return { address: machine.address, port, process, [Symbol.asyncDispose]: () => lifetime.close() };
  } catch (error) {
    await lifetime.close();
    throw error;
  }
}

/** Waits until the port accepts; a server that has ended instead is an error with its output. */
async function accepting(machine: Machine, process: BackgroundProcess, port: number): Promise<void> {
  const probe = ["bash", "-c", `exec 3<>/dev/tcp/${machine.address}/${port}`];
  const deadline = performance.now() + 20_000;
  while ((await machine.exec(probe)).code !== 0) {
    if (!process.running) throw new Error(`${process.name} ended:\n${process.output}`);
    if (performance.now() > deadline) throw new Error(`${process.name} does not listen:\n${process.output}`);
    await sleep(20);
  }
}

/** A prefix that runs a command as `user` where we are root (PostgreSQL refuses root), and gives that user `directory`. */
async function droppingRoot(machine: Machine, directory: string, user: string): Promise<string[]> {
  if (process.getuid?.() !== 0) return untilParentDies();
  await machine.execOk(["chown", user, directory]);
  return [...untilParentDies(), `--reuid=${user}`, `--regid=${user}`, "--init-groups"];
}

/** A prefix: the command gets SIGINT when the test's process ends, however that ends. */
function untilParentDies(): string[] {
  return ["setpriv", "--pdeathsig", "INT"];
}
