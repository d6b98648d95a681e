import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  createCa,
  generateKeyPair,
  type HostRole,
  issueHostCert,
  issueUserCert,
  type KeyedCert,
} from "../../src/pki/mod.ts";
import type { AppSession, HostCredentials } from "../../src/tunnel/mod.ts";
import type { AgentStart, ClientStart, Ports, ProxyStart } from "./messages.ts";

const CLUSTER = "bench.test";
const CLOCK_TICKS_PER_SECOND = 100; // USER_HZ, the same on every Linux

export const PARTS = ["client", "proxy", "agent"] as const;
export type Part = (typeof PARTS)[number];

/** Three processes: what the client's ports take comes out at `appPort`. */
export class Path implements Disposable {
  readonly ports: Ports;
  readonly #children: Record<Part, ChildProcess>;

  private constructor(ports: Ports, children: Record<Part, ChildProcess>) {
    this.ports = ports;
    this.#children = children;
  }

  static async start(appPort: number): Promise<Path> {
    const now = Date.now();
    const hostCa = await createCa({ cluster: CLUSTER, type: "host", now });
    const userCa = await createCa({ cluster: CLUSTER, type: "user", now });
    const agentHost = await hostOf(hostCa, "agent", "App");
    const session = await sessionOf(userCa, [hostCa.certPem]);
    const children = { client: start("client"), proxy: start("proxy"), agent: start("agent") };
    const proxyStart: ProxyStart = { credentials: await hostOf(hostCa, "proxy", "Proxy"), session };
    const proxy = await tell(children.proxy, proxyStart);
    const agentStart: AgentStart = { credentials: agentHost, userCas: [userCa.certPem], proxy, appPort };
    children.proxy.send(await tell(children.agent, agentStart));
    const clientStart: ClientStart = { session, proxy };
    return new Path(await tell(children.client, clientStart), children);
  }

  /** CPU seconds of each process so far, system calls included. */
  cpu(): Record<Part, number> {
    const { client, proxy, agent } = this.#children;
    return { client: cpuOf(client), proxy: cpuOf(proxy), agent: cpuOf(agent) };
  }

  [Symbol.dispose](): void {
    for (const child of Object.values(this.#children)) child.disconnect();
  }
}

/** Under the same flags as this process; `BENCH_FLAGS_AGENT` and the like add to them, e.g. `--cpu-prof`. */
function start(part: Part): ChildProcess {
  const extra = process.env[`BENCH_FLAGS_${part.toUpperCase()}`]?.split(" ") ?? [];
  return fork(join(import.meta.dirname, `${part}.ts`), {
    serialization: "advanced",
    execArgv: [...process.execArgv, ...extra],
  });
}

async function tell(child: ChildProcess, start: object): Promise<Ports> {
  child.send(start);
  const [ports] = (await once(child, "message")) as [Ports];
  return ports;
}

/** User and system time (proc_pid_stat(5), fields 14 and 15). */
function cpuOf(child: ChildProcess): number {
  const stat = readFileSync(`/proc/${child.pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
}

async function hostOf(ca: KeyedCert, hostId: string, role: HostRole): Promise<HostCredentials> {
  const { keyPem, publicKeyPem } = await generateKeyPair();
  const cert = await issueHostCert({ ca, publicKeyPem, now: Date.now(), cluster: CLUSTER, hostId, roles: [role] });
  return { certPem: cert, keyPem, cluster: CLUSTER, hostCas: [ca.certPem] };
}

async function sessionOf(ca: KeyedCert, hostCas: string[]): Promise<AppSession> {
  const sessionId = randomBytes(16).toString("hex");
  const { keyPem, publicKeyPem } = await generateKeyPair();
  const now = Date.now();
  const route = { app: "bench", publicAddr: "bench.bench.test", cluster: CLUSTER, sessionId };
  const user = { user: "bench", roles: ["access"], traits: {}, expires: now + 3_600_000, route };
  const certPem = await issueUserCert({ ca, publicKeyPem, now, cluster: CLUSTER, ...user });
  return { sessionId, cluster: CLUSTER, certPem, keyPem, hostCas, hostIds: ["agent"], routeKey: randomBytes(32) };
}
