/**
 * A cluster of real `teleport` processes on loopback, with one user, for tests
 * of what people are told when something is wrong. Commands run with an
 * environment of their own, and what they say is made comparable: the
 * directory and the ports of this run are replaced by names.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Lifetime, sleep } from "../../src/base/mod.ts";
import { BackgroundProcess, freePort, type RunOptions, type RunResult, run } from "../../src/testkit/mod.ts";
import {
  type AppSpec,
  agentYaml,
  appService,
  post,
  startEcho,
  teleportYaml,
  ZONE,
  zoneYaml,
} from "./loopback-parts.ts";

export const USER = "alice@example.com";
export const PASSWORD = "correct horse battery staple";
/** Needs of every test that runs `tsh vnet exec`. */
export const EXEC_NEEDS = ["tun", "userns", "ip", "unshare"] as const;

const ROOT = join(import.meta.dirname, "../..");
const READY_MS = 20_000;

export interface LoopbackOptions {
  /** The Application Service in a process of its own, joined by token and pin. */
  readonly apart?: boolean;
  /** A free one by default. */
  readonly proxyPort?: number;
  /** `host:port` where users find the proxy, if that is not the proxy itself. */
  readonly publicAddr?: string;
  /** `host:port` where agents find it, if that is not the proxy itself. */
  readonly joinAddr?: string;
  /** Besides `echo`. */
  readonly apps?: readonly AppSpec[];
  /** For `teleport` with Auth and Proxy. */
  readonly env?: Record<string, string>;
  /** For every program. */
  readonly environment?: Record<string, string>;
  /** `teleport.example.com` by default. */
  readonly clusterName?: string;
  /** Of its apps, `ZONE` by default. */
  readonly zone?: string;
}

export interface Said {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class LoopbackCluster implements AsyncDisposable {
  readonly directory: string;
  readonly proxyPort: number;
  readonly authPort: number;
  readonly echoPort: number;
  /** Auth and Proxy, and the Application Service unless that is apart. */
  teleport!: BackgroundProcess;
  /** The Application Service where it is apart. */
  agent: BackgroundProcess | undefined;
  readonly #options: LoopbackOptions;
  readonly #life: Lifetime;
  readonly #names = new Map<string, string>();

  private constructor(
    options: LoopbackOptions,
    o: { life: Lifetime; directory: string; proxyPort: number; authPort: number; echoPort: number },
  ) {
    this.#options = options;
    this.#life = o.life;
    this.directory = o.directory;
    this.proxyPort = o.proxyPort;
    this.authPort = o.authPort;
    this.echoPort = o.echoPort;
    this.alias(this.directory, "DIR");
    this.alias(`:${this.proxyPort}`, ":PROXY");
    this.alias(`:${this.authPort}`, ":AUTH");
    this.alias(`:${this.echoPort}`, ":ECHO");
  }

  /** Up, with the zone configured and the user logged in. */
  static async start(options: LoopbackOptions = {}): Promise<LoopbackCluster> {
    const life = new Lifetime();
    try {
      const directory = mkdtempSync(join(tmpdir(), "vnet-bad-input-"));
      life.defer(() => rmSync(directory, { recursive: true, force: true }));
      const echoPort = await startEcho(life);
      const ports = { proxyPort: options.proxyPort ?? (await freePort()), authPort: await freePort(), echoPort };
      const cluster = new LoopbackCluster(options, { life, directory, ...ports });
      await cluster.#start();
      return cluster;
    } catch (error) {
      await life.close();
      throw error;
    }
  }

  /** `host:port` by which users know the proxy. */
  get proxy(): string {
    return this.#options.publicAddr ?? `localhost:${this.proxyPort}`;
  }

  /** What of this run's accidents a golden text calls `name`. */
  alias(text: string, name: string): void {
    this.#names.set(text, name);
  }

  file(name: string, content?: string): string {
    const path = join(this.directory, name);
    if (content !== undefined) writeFileSync(path, content);
    return path;
  }

  /** `tctl` as administrator, `teleport`, or `tsh`, in the cluster's directory. */
  run(program: "teleport" | "tctl" | "tsh", args: readonly string[], o: RunOptions = {}): Promise<RunResult> {
    const env = { ...this.env(), ...o.env };
    return run([join(ROOT, "bin", program), ...args], { cwd: this.directory, ...o, env });
  }

  /** The same as golden texts have it. */
  async says(program: "teleport" | "tctl" | "tsh", args: readonly string[], o: RunOptions = {}): Promise<Said> {
    const { code, stdout, stderr } = await this.run(program, args, o);
    return { code, stdout: this.comparable(stdout), stderr: this.comparable(stderr) };
  }

  async ok(program: "teleport" | "tctl" | "tsh", args: readonly string[], o: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(program, args, o);
    assert.equal(code, 0, `${program} ${args.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  }

  spawn(program: "teleport" | "tctl" | "tsh", args: readonly string[], o: RunOptions = {}): BackgroundProcess {
    const env = { ...this.env(), ...o.env };
    const command = [join(ROOT, "bin", program), ...args];
    const child = new BackgroundProcess(program, command, { cwd: this.directory, ...o, env });
    this.#life.use(child);
    return child;
  }

  comparable(text: string): string {
    let result = text;
    for (const [accident, name] of this.#names) result = result.replaceAll(accident, name);
    return result.replaceAll(/^\d{4}-\d\d-\d\dT[\d:.]+Z /gm, "TIME ");
  }

  /** Nothing of the caller's environment, which may name certificates and proxies. */
  env(): Record<string, string> {
    return {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      HOME: this.directory,
      TMPDIR: this.directory,
      LC_ALL: "C.UTF-8",
      TELEPORT_HOME: join(this.directory, "tsh"),
      TELEPORT_CONFIG_FILE: join(this.directory, "teleport.yaml"),
      SSL_CERT_FILE: join(this.directory, "data/webproxy_cert.pem"),
      ...this.#options.environment,
    };
  }

  login(o: { user?: string; password?: string; args?: string[]; env?: Record<string, string> } = {}): Promise<Said> {
    const { user = USER, password = PASSWORD, args = [], env = {} } = o;
    const flags = ["login", `--proxy=${this.proxy}`, `--user=${user}`, ...args];
    return this.says("tsh", flags, { input: `${password}\n`, env });
  }

  async startTeleport(): Promise<void> {
    this.teleport = this.spawn("teleport", ["start", "-c", "teleport.yaml"], {
      input: "",
      env: this.#options.env ?? {},
    });
    await this.teleport.waitFor(/The Teleport services are ready/, READY_MS);
  }

  async startAgent(config = "agent.yaml"): Promise<BackgroundProcess> {
    const agent = this.spawn("teleport", ["start", "-c", config], { input: "" });
    await agent.waitFor(/Application Service is ready/, READY_MS);
    return agent;
  }

  /** A configuration whose process joins by token and pin, and serves `apps`. */
  async writeAgentConfig(name: string, apps: readonly AppSpec[]): Promise<void> {
    const pin = /CA pin\s+(sha256:\S+)/.exec(await this.ok("tctl", ["status"]))?.[1] ?? "";
    const token = (await this.ok("tctl", ["tokens", "add", "--type=app", "--format=text"])).trim();
    const { directory } = this;
    const proxy = this.#options.joinAddr ?? `localhost:${this.proxyPort}`;
    this.file(`${name}.yaml`, agentYaml({ name, directory, proxy, token, pin }) + appService(apps, this.#options.zone));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#life.close();
  }

  async #start(): Promise<void> {
    const apps = [{ name: "echo", uri: `tcp://127.0.0.1:${this.echoPort}` }, ...(this.#options.apps ?? [])];
    mkdirSync(join(this.directory, "tsh"), { mode: 0o700 });
    this.file("teleport.yaml", this.config() + (this.#options.apart ? "" : appService(apps, this.#options.zone)));
    await this.startTeleport();
    this.file("zone.yaml", zoneYaml(this.#options.zone ?? ZONE));
    await Promise.all([this.#createUser(), this.ok("tctl", ["create", "zone.yaml"])]);
    if (this.#options.apart) {
      await this.writeAgentConfig("agent", apps);
      this.agent = await this.startAgent();
    }
    const { code, stderr } = await this.login();
    assert.equal(code, 0, stderr);
    await this.#appsListed(apps.length);
  }

  /** Auth's and Proxy's half of teleport.yaml. */
  config(): string {
    return teleportYaml({
      clusterName: this.#options.clusterName ?? "teleport.example.com",
      directory: this.directory,
      authPort: this.authPort,
      proxyPort: this.proxyPort,
      proxy: this.proxy,
    });
  }

  async #createUser(): Promise<void> {
    const said = await this.ok("tctl", ["users", "add", "--roles=access,editor", USER]);
    const token = /\/web\/invite\/(\S+)/.exec(said)?.[1];
    const body = new URLSearchParams({ password: PASSWORD, confirm: PASSWORD }).toString();
    const url = `https://localhost:${this.proxyPort}/web/invite/${token}`;
    assert.equal(await post(url, body, readFileSync(this.env().SSL_CERT_FILE!)), 200);
  }

  async #appsListed(count: number): Promise<void> {
    const deadline = performance.now() + READY_MS;
    for (;;) {
      const apps = JSON.parse(await this.ok("tsh", ["apps", "ls", "--format=json"])) as unknown[];
      if (apps.length >= count) return;
      assert.ok(performance.now() < deadline, `only ${apps.length} of ${count} apps are listed`);
      await sleep(50);
    }
  }
}
