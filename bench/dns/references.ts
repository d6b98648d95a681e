import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { programPath } from "../../src/testkit/mod.ts";
import { Part } from "../tun/processes.ts";
import { ANSWER, FORWARDED_NAMES, LOCAL_NAMES } from "./names.ts";

export interface DnsProcess {
  readonly name: string;
  readonly server: string;
  readonly port: number;
  /** Seconds so far. */
  cpu(): number;
  stop(): void;
}

const LOOPBACK = "127.0.0.1";

/** Node's own sockets, and as little else as can be. */
export async function startResponder(here: string[], port: number): Promise<DnsProcess> {
  const [part] = await Part.start(here, "../dns/responder.ts", port);
  return { name: "node", server: LOOPBACK, port, cpu: () => part.cpu(), stop: () => part.stop() };
}

/** dnsmasq without a cache, if it is installed. */
export function startDnsmasq(
  here: string[],
  dir: string,
  port: number,
  upstream: number,
): Promise<DnsProcess | undefined> {
  const config = join(dir, "dnsmasq.conf");
  writeFileSync(
    config,
    [
      `port=${port}`,
      `listen-address=${LOOPBACK}`,
      "bind-interfaces\nno-resolv\nno-hosts\ncache-size=0\nuser=\ngroup=\npid-file=",
      `server=${LOOPBACK}#${upstream}`,
      ...LOCAL_NAMES.map((name) => `host-record=${name},${ANSWER}`),
    ].join("\n"),
  );
  return startProgram(here, "dnsmasq", port, ["-k", "-C", config]);
}

/** unbound with local data, if it is installed: a reference, and the upstream of all that forward. */
export function startUnbound(here: string[], dir: string, port: number): Promise<DnsProcess | undefined> {
  const config = join(dir, `unbound-${port}.conf`);
  const zones = [...LOCAL_NAMES, ...FORWARDED_NAMES].map((name) => `  local-data: "${name}. 10 IN A ${ANSWER}"`);
  writeFileSync(
    config,
    `server:
  interface: ${LOOPBACK}@${port}
  num-threads: 1
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "${dir}"
  pidfile: ""
  use-syslog: no
  verbosity: 0
  module-config: "iterator"
  local-zone: "company.test." static
  local-zone: "example.org." static
${zones.join("\n")}
`,
  );
  return startProgram(here, "unbound", port, ["-d", "-c", config]);
}

async function startProgram(
  here: string[],
  name: string,
  port: number,
  args: string[],
): Promise<DnsProcess | undefined> {
  const path = programPath(name);
  if (path === undefined) return undefined;
  const command = [...here, path, ...args];
  const child = spawn(command[0]!, command.slice(1), { stdio: ["ignore", "ignore", "inherit"] });
  await wait(500);
  if (child.exitCode !== null) {
    console.error(`${name} does not work here: left out`);
    return undefined;
  }
  return { name, server: LOOPBACK, port, cpu: () => cpuOf(child), stop: () => void child.kill() };
}

/** proc_pid_stat(5), fields 14 and 15, at 100 ticks a second. `nsenter` has become the program itself. */
function cpuOf(child: ChildProcess): number {
  const stat = readFileSync(`/proc/${child.pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
