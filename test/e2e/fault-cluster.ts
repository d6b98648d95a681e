/**
 * A cluster of which any part can fail: Auth, two proxies and two agents, each
 * a process of its own, on hosts made of namespaces; a laptop with VNet.
 *
 *   laptop ── internet ── proxy host (Auth :3025, proxies :443 and :8443)
 *                     └── agent host (agents one and two) ── database host
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Lifetime, sleep } from "../../src/base/mod.ts";
import {
  type BackgroundProcess,
  type Hosts,
  type Machine,
  makeWebPki,
  runOk,
  startHosts,
  startPostgres,
  trustWebPki,
} from "../../src/testkit/mod.ts";
import type { Result } from "./live-streams.ts";

export const FAULT_NEEDS = ["root", "tun", "ip", "openssl", "curl", "postgres", "psql", "pgbench", "setpriv"] as const;

const PROXY = "teleport.example.com";
const SECOND = `two.${PROXY}`;
const USER = "alice@example.com";
const PASSWORD = "correct horse battery staple";
const DB = "10.77.0.40";
const LIVE_PORT = 7_100;
const ROOT = join(import.meta.dirname, "../..");
const LIVE = join(import.meta.dirname, "live-streams.ts");
const READY_MS = 40_000;

export const PARTS = ["auth", "proxy-one", "proxy-two", "agent-one", "agent-two"] as const;
export type Part = (typeof PARTS)[number];

export class FaultCluster implements AsyncDisposable {
  readonly hosts: Hosts;
  readonly #lifetime: Lifetime;
  readonly #running = new Map<Part, BackgroundProcess>();

  private constructor(lifetime: Lifetime, hosts: Hosts) {
    this.#lifetime = lifetime;
    this.hosts = hosts;
  }

  /** All of it up but agent two, VNet included. */
  static async start(): Promise<FaultCluster> {
    const lifetime = new Lifetime();
    try {
      const cluster = new FaultCluster(lifetime, lifetime.use(await startHosts()));
      await cluster.#start();
      return cluster;
    } catch (error) {
      await lifetime.close();
      throw error;
    }
  }

  get laptop(): Machine {
    return this.hosts.laptop;
  }

  async startPart(part: Part): Promise<void> {
    const daemon = this.#hostOf(part).spawn(part, [program("teleport"), "start", "-c", `/etc/${part}.yaml`]);
    this.#running.set(part, daemon);
    await daemon.waitFor(/The Teleport services are ready/, READY_MS);
    if (part.startsWith("agent")) await daemon.waitFor(/Application Service is ready/, READY_MS);
  }

  process(part: Part): BackgroundProcess {
    const running = this.#running.get(part);
    assert(running, `${part} was never started`);
    return running;
  }

  async kill(part: Part): Promise<void> {
    this.process(part).signal("SIGKILL");
    await this.process(part).exited;
  }

  /** A process has room for so many descriptors from now on; those that are open stay. */
  async limitDescriptors(part: Part, most: number): Promise<void> {
    await runOk(["prlimit", `--pid=${this.process(part).pid}`, `--nofile=${most}:`]);
  }

  /** Commands of ip(8) on the laptop. */
  async ip(...lines: string[]): Promise<void> {
    for (const line of lines) await this.laptop.execOk(["ip", ...line.split(" ")]);
  }

  /** `count` connections through VNet, live. */
  async liveStreams(count: number): Promise<LiveStreams> {
    const command = [process.execPath, LIVE, "run", `live.${PROXY}`, `${LIVE_PORT}`, `${count}`];
    const child = this.laptop.spawn("streams", command);
    await child.waitFor(/^live\b.*$/m, 90_000);
    assert.match(child.output, /^live$/m);
    return new LiveStreams(child);
  }

  /** Transactions through VNet for so long, under way when this returns; none of them may fail. Answers what it says at its end. */
  async pgbench(seconds: number): Promise<{ readonly said: Promise<string> }> {
    const url = `postgres://postgres@db.${PROXY}/postgres`;
    const child = this.laptop.spawn("pgbench", ["pgbench", "-n", "-P", "1", "-c", "4", "-T", `${seconds}`, url]);
    await child.waitFor(/^progress: /m, 60_000);
    return { said: child.exited.then(() => child.output) };
  }

  /** Whether the first proxy's web server answers the laptop. */
  async proxyAnswers(): Promise<boolean> {
    const command = ["curl", "-sf", "-m", "3", "-o", "/dev/null", `https://${PROXY}/webapi/find`];
    return (await this.laptop.exec(command)).code === 0;
  }

  /** A connection that is made now: how long it took, or why it failed. */
  async connects(): Promise<{ ms: number; error?: string }> {
    const started = performance.now();
    const script = `const s = require("node:net").connect(${LIVE_PORT}, "live.${PROXY}"); s.on("connect", () => process.exit(0)); s.on("error", (e) => { console.error(e.code); process.exit(1); })`;
    const { code, stderr } = await this.laptop.exec([process.execPath, "-e", script]);
    return { ms: performance.now() - started, ...(code === 0 ? {} : { error: stderr.trim() }) };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#lifetime.close();
  }

  #hostOf(part: Part): Machine {
    return part.startsWith("agent") ? this.hosts.agent : this.hosts.proxy;
  }

  async #start(): Promise<void> {
    const { laptop, proxy, agent, db } = this.hosts;
    const [database, pki] = await Promise.all([
      startPostgres({ machine: db, port: 5432, maxConnections: 50 }),
      makeWebPki([PROXY, `*.${PROXY}`]),
    ]);
    this.#lifetime.use(database);
    await Promise.all([laptop, proxy, agent].map((host) => trustWebPki(host, pki)));
    await write(proxy, "/etc/web.pem", pki.certPem);
    await write(proxy, "/etc/web.key", pki.keyPem);
    await write(proxy, "/etc/auth.yaml", AUTH_YAML);
    await this.startPart("auth");
    const tctl = (...args: string[]) => proxy.execOk([program("tctl"), "-c", "/etc/auth.yaml", ...args]);
    const pin = /CA pin\s+(sha256:\S+)/.exec(await tctl("status"))?.[1] ?? "";
    const token = (await tctl("tokens", "add", "--type=proxy,app", "--format=text")).trim();
    await write(proxy, "/etc/proxy-one.yaml", proxyYaml("proxy-one", `${PROXY}:443`, { token, pin }));
    await write(proxy, "/etc/proxy-two.yaml", proxyYaml("proxy-two", `${SECOND}:8443`, { token, pin }));
    for (const name of ["agent-one", "agent-two"])
      await write(agent, `/etc/${name}.yaml`, agentYaml(name, { token, pin }));
    await Promise.all([this.startPart("proxy-one"), this.startPart("proxy-two")]);
    const live = db.spawn("live", [process.execPath, LIVE, "serve", DB, `${LIVE_PORT}`]);
    await Promise.all([this.startPart("agent-one"), live.waitFor(/^ready/m)]);
    await this.#login(await tctl("users", "add", "--roles=access", USER));
    await runPgbenchInit(db);
  }

  async #login(invitation: string): Promise<void> {
    const { laptop } = this.hosts;
    const link = /https:\S+\/web\/invite\/\S+/.exec(invitation)?.[0];
    assert.ok(link, invitation);
    const fields = ["password", "confirm"].flatMap((name) => ["--data-urlencode", `${name}=${PASSWORD}`]);
    await laptop.execOk(["curl", "-sf", "-o", "/dev/null", ...fields, link]);
    await laptop.execOk([program("tsh"), "login", `--proxy=${PROXY}:443`, `--user=${USER}`], {
      input: `${PASSWORD}\n`,
    });
    const vnet = laptop.spawn("tsh vnet", [program("tsh"), "vnet"]);
    await vnet.waitFor(/VNet is ready\./, READY_MS);
    const deadline = performance.now() + READY_MS;
    for (;;) {
      const { error } = await this.connects();
      if (error === undefined) return;
      assert.ok(performance.now() < deadline, `the app cannot be reached: ${error}\n${vnet.output}`);
      await sleep(200);
    }
  }
}

/** Connections that are live, until `stop`. */
export class LiveStreams {
  readonly #child: BackgroundProcess;
  #checks = 0;

  constructor(child: BackgroundProcess) {
    this.#child = child;
  }

  /** From now on resets are counted. */
  fault(): void {
    this.#child.write("fault\n");
  }

  /** Octets flow again on all that have not ended. */
  async flowing(timeoutMs = 100_000): Promise<void> {
    const lines = this.#checks++;
    this.#child.write("check\n");
    const [line] = await this.#child.waitFor(new RegExp(`(?:^flowing.*$[^]*){${lines}}^flowing.*$`, "m"), timeoutMs);
    assert.match(line.trimEnd().split("\n").at(-1) ?? "", /^flowing$/);
  }

  async stop(): Promise<Result> {
    this.#child.write("stop\n");
    const [line] = await this.#child.waitFor(/^\{.*\}$/m, 90_000);
    await this.#child.exited;
    return JSON.parse(line) as Result;
  }
}

function program(name: "teleport" | "tsh" | "tctl"): string {
  return join(ROOT, "bin", name);
}

async function runPgbenchInit(db: Machine): Promise<void> {
  await db.execOk(["pgbench", "-i", "-q", `postgres://postgres@${DB}/postgres`], { timeoutMs: 60_000 });
}

async function write(machine: Machine, path: string, content: string): Promise<void> {
  await machine.execOk(["sh", "-c", 'cat >"$0"', path], { input: content });
}

const AUTH_YAML = `version: v3
teleport:
  nodename: auth
  data_dir: /var/lib/auth
auth_service:
  enabled: yes
  cluster_name: ${PROXY}
  listen_addr: 127.0.0.1:3025
  authentication:
    second_factors: []
proxy_service:
  enabled: no
ssh_service:
  enabled: no
`;

interface Joining {
  readonly token: string;
  readonly pin: string;
}

function proxyYaml(name: string, address: string, { token, pin }: Joining): string {
  return `version: v3
teleport:
  nodename: ${name}
  data_dir: /var/lib/${name}
  auth_server: 127.0.0.1:3025
  auth_token: ${token}
  ca_pin: ${pin}
auth_service:
  enabled: no
proxy_service:
  enabled: yes
  web_listen_addr: 0.0.0.0:${address.split(":")[1]}
  public_addr: ${address}
  tunnel_public_addr: ${address}
  https_keypairs:
  - cert_file: /etc/web.pem
    key_file: /etc/web.key
ssh_service:
  enabled: no
`;
}

function agentYaml(name: string, { token, pin }: Joining): string {
  return `version: v3
teleport:
  nodename: ${name}
  data_dir: /var/lib/${name}
  proxy_server: ${PROXY}:443
  auth_token: ${token}
  ca_pin: ${pin}
auth_service:
  enabled: no
proxy_service:
  enabled: no
ssh_service:
  enabled: no
app_service:
  enabled: yes
  apps:
  - name: live
    uri: tcp://${DB}:${LIVE_PORT}
    public_addr: live.${PROXY}
  - name: db
    uri: tcp://${DB}:5432
    public_addr: db.${PROXY}
`;
}
