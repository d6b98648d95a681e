/**
 * Hosts made of namespaces: the guide's laptop, proxy (with Auth), agent and
 * database as machines of their own, each with its own network, files, process
 * table and name. Needs root.
 *
 *     laptop 198.51.100.10 ─┐
 *     proxy  198.51.100.20 ─┤ "the internet", a switch with DNS at 198.51.100.1
 *     agent  198.51.100.30 ─┘
 *     agent  10.77.0.30 ───── db 10.77.0.40    (no route to it for the others)
 *
 * The machine itself sees nothing of it: no interface, no mount, no file, and
 * so any number of copies may run at once. All of it goes when the test ends,
 * by whatever end, because each host's pid 1 lives only while its pipe is open.
 */
import { join } from "node:path";
import { Lifetime } from "../base/mod.ts";
import { BackgroundProcess, expectOk, type RunOptions, type RunResult, run, runOk } from "./process.ts";

export const HOST_NAMES = ["laptop", "proxy", "agent", "db"] as const;
export type HostName = (typeof HOST_NAMES)[number];

/** Where programs run: a host of namespaces, or this machine. */
export interface Machine {
  readonly name: string;
  /** The address by which others reach it. */
  readonly address: string;
  exec(command: string[], options?: RunOptions): Promise<RunResult>;
  /** `exec` that throws unless the exit code is 0; answers standard output. */
  execOk(command: string[], options?: RunOptions): Promise<string>;
  /** Starts a program beside the test; the machine's end stops it. */
  spawn(name: string, command: string[], options?: RunOptions): BackgroundProcess;
}

export interface Hosts extends AsyncDisposable, Readonly<Record<HostName, Machine>> {
  /** Names that the internet's DNS server was asked for, "NAME TYPE" each. */
  dnsQueries(): string[];
}

const PROJECT = join(import.meta.dirname, "../..");
const DNS_ADDRESS = "198.51.100.1";

const ADDRESSES: Readonly<Record<HostName, { inet?: string; priv?: string }>> = {
  laptop: { inet: "198.51.100.10" },
  proxy: { inet: "198.51.100.20" },
  agent: { inet: "198.51.100.30", priv: "10.77.0.30" },
  db: { priv: "10.77.0.40" },
};

/** What the world knows, before VNet: the proxy, all names below it, and a stranger. */
export const PUBLIC_NAMES: Readonly<Record<string, string>> = {
  "teleport.example.com": "198.51.100.20",
  "*.teleport.example.com": "198.51.100.20",
  "agent.example.com": "198.51.100.30",
  "upstream.example.org": "203.0.113.7",
};

function addressOf(name: HostName | "switch"): string {
  return name === "switch" ? DNS_ADDRESS : (ADDRESSES[name].inet ?? ADDRESSES[name].priv ?? "");
}

/** Starts all four hosts and the switch between them; about 0.3 s. `records` are added to `PUBLIC_NAMES`. */
export async function startHosts(records: Record<string, string> = {}): Promise<Hosts> {
  const lifetime = new Lifetime();
  try {
    // Ended in the opposite order: clients before the servers that they talk to.
    const names = ["switch", "db", "proxy", "agent", "laptop"] as const;
    const started = await Promise.allSettled(names.map((name) => NamespaceHost.start(name, addressOf(name))));
    for (const result of started) if (result.status === "fulfilled") lifetime.use(result.value);
    const [theSwitch, db, proxy, agent, laptop] = started.map((result) => {
      if (result.status === "rejected") throw result.reason;
      return result.value;
    }) as [NamespaceHost, NamespaceHost, NamespaceHost, NamespaceHost, NamespaceHost];
    const byName = { laptop, proxy, agent, db };
    await connect(theSwitch, byName);
    const dns = await startDns(theSwitch, { ...PUBLIC_NAMES, ...records });
    return {
      ...byName,
      dnsQueries: () => [...dns.output.matchAll(/^query (.*)$/gm)].map((match) => match[1] ?? ""),
      [Symbol.asyncDispose]: () => lifetime.close(),
    };
  } catch (error) {
    await lifetime.close();
    throw error;
  }
}

/** This machine itself, for tests that need no network of their own. */
export function thisMachine(): Machine {
  return {
    name: "localhost",
    address: "127.0.0.1",
    exec: run,
    execOk: runOk,
    spawn: (name, command, options) => new BackgroundProcess(name, command, options),
  };
}

/** The same machine for another of its users, who must exist. */
export function asUser(machine: Machine, user: string): Machine {
  const become = ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--init-groups"];
  const home = `/home/${user}`;
  const login = (options: RunOptions = {}): RunOptions => ({
    cwd: home,
    ...options,
    env: { HOME: home, USER: user, LOGNAME: user, ...options.env },
  });
  return {
    name: `${user}@${machine.name}`,
    address: machine.address,
    exec: (command, options) => machine.exec([...become, ...command], login(options)),
    execOk: (command, options) => machine.execOk([...become, ...command], login(options)),
    spawn: (name, command, options) => machine.spawn(name, [...become, ...command], login(options)),
  };
}

class NamespaceHost implements Machine, AsyncDisposable {
  readonly name: string;
  readonly address: string;
  /** Of the host's pid 1, as seen from outside. */
  readonly pid: number;
  readonly #init: BackgroundProcess;
  readonly #programs: BackgroundProcess[] = [];

  private constructor(name: string, address: string, init: BackgroundProcess, pid: number) {
    this.name = name;
    this.address = address;
    this.#init = init;
    this.pid = pid;
  }

  static async start(name: string, address: string): Promise<NamespaceHost> {
    const namespaces = ["--net", "--mount", "--pid", "--uts", "--ipc", "--propagation", "private"];
    const script = join(import.meta.dirname, "host-init.sh");
    const command = ["unshare", ...namespaces, "--fork", "--kill-child", "bash", script, name, PROJECT];
    const init = new BackgroundProcess(`${name}'s pid 1`, command, { env: hostEnv() });
    const [, pid] = await init.waitFor(/^ready (\d+)$/m);
    return new NamespaceHost(name, address, init, Number(pid));
  }

  exec(command: string[], options: RunOptions = {}): Promise<RunResult> {
    return run(this.#enter(command, options), withoutPlace(options));
  }

  async execOk(command: string[], options: RunOptions = {}): Promise<string> {
    return expectOk([`[${this.name}]`, ...command], await this.exec(command, options));
  }

  spawn(name: string, command: string[], options: RunOptions = {}): BackgroundProcess {
    const program = new BackgroundProcess(
      `${name} on ${this.name}`,
      this.#enter(command, options),
      withoutPlace(options),
    );
    this.#programs.push(program);
    return program;
  }

  /** Programs get their SIGTERM and time to end; then pid 1 takes the rest with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.stop()));
    this.#init.endInput();
    await this.#init.exited;
  }

  #enter(command: string[], { cwd = "/root", env = {} }: RunOptions): string[] {
    const settings = Object.entries({ ...hostEnv(), ...env }).map(([name, value]) => `${name}=${value}`);
    const changeDir = ["sh", "-c", 'cd -- "$0" && exec "$@"', cwd];
    return [
      "nsenter",
      "-t",
      String(this.pid),
      "-m",
      "-n",
      "-p",
      "-i",
      "-u",
      "env",
      "-i",
      ...settings,
      ...changeDir,
      ...command,
    ];
  }
}

/** Directory and environment are set on the inside. */
function withoutPlace({ cwd: _, env: __, ...rest }: RunOptions): RunOptions {
  return rest;
}

/** What a login on such a host would set: nothing of the test's own environment, but where programs are. */
function hostEnv(): Record<string, string> {
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: "/root",
    USER: "root",
    LC_ALL: "C.UTF-8",
  };
}

async function connect(theSwitch: NamespaceHost, hosts: Record<HostName, NamespaceHost>): Promise<void> {
  // Outside of all hosts' pid namespaces, so that `netns PID` means what we know.
  const ip = (pid: number, lines: string[]) =>
    runOk(["nsenter", "-t", String(pid), "-n", "ip", "-batch", "-"], { input: `${lines.join("\n")}\n` });

  const ends = HOST_NAMES.flatMap((name) => [
    ...(ADDRESSES[name].inet === undefined ? [] : [{ name, device: "eth0", bridge: "br-inet" }]),
    ...(ADDRESSES[name].priv === undefined ? [] : [{ name, device: "priv0", bridge: "br-priv" }]),
  ]);
  await ip(theSwitch.pid, [
    "link add br-inet type bridge",
    "link add br-priv type bridge",
    ...ends.flatMap(({ name, device, bridge }) => [
      `link add ${device} netns ${hosts[name].pid} type veth peer name ${device}-${name}`,
      `link set ${device}-${name} master ${bridge} up`,
    ]),
    `addr add ${DNS_ADDRESS}/24 dev br-inet`,
    "addr add 2001:db8:1::1/64 dev br-inet nodad",
    "link set br-inet up",
    "link set br-priv up",
  ]);
  await Promise.all(HOST_NAMES.map((name) => ip(hosts[name].pid, addressLines(ADDRESSES[name]))));
}

function addressLines({ inet, priv }: { inet?: string; priv?: string }): string[] {
  const lastOctet = inet?.split(".").at(-1);
  return [
    ...(inet === undefined
      ? []
      : [
          `addr add ${inet}/24 dev eth0`,
          `addr add 2001:db8:1::${lastOctet}/64 dev eth0 nodad`,
          "link set eth0 up",
          `route add default via ${DNS_ADDRESS}`,
          "route add ::/0 via 2001:db8:1::1",
        ]),
    ...(priv === undefined ? [] : [`addr add ${priv}/24 dev priv0`, "link set priv0 up"]),
  ];
}

async function startDns(theSwitch: NamespaceHost, names: Record<string, string>): Promise<BackgroundProcess> {
  const records = Object.entries(names).map(([name, ip]) => `${name}=${ip}`);
  const file = join(import.meta.dirname, "dns-server.ts");
  const dns = theSwitch.spawn("DNS", [process.execPath, file, DNS_ADDRESS, ...records]);
  await dns.waitFor(/^ready$/m);
  return dns;
}
