import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { App, AppSessionAnswer, AuditEvent, LabelConditions, SecondFactor } from "../api/mod.ts";
import { type AppService, startApp } from "../app/mod.ts";
import { openAuditLog } from "../audit/mod.ts";
import { ADMIN_FILE, type AuthService, type StaticToken, startAuth } from "../auth/mod.ts";
import { Counters, Lifetime, type Logger, silentLogger, systemClock, systemRandom } from "../base/mod.ts";
import { createCsr, generateKeyPair } from "../pki/mod.ts";
import { type ProxyProtocolConfig, type ProxyService, startProxy } from "../proxy/mod.ts";
import { type HostRecord, hostUuid, RpcClient, tcpDial } from "../rpc/mod.ts";
import { openSqlite } from "../storage/mod.ts";
import { type AppLink, type AppSession, type DialAppLinkOptions, dialAppLink, RouteCounters } from "../tunnel/mod.ts";

export interface TestClusterOptions {
  /** Besides `echo`, which is always there. */
  readonly apps?: readonly App[];
  /** Which of the cluster's `app` resources the agents serve besides. */
  readonly selectors?: readonly LabelConditions[];
  readonly log?: Logger;
  /** Between the agents' health checks; by default there are none, which tests of connections would see. */
  readonly healthIntervalMs?: number;
  /** By default `TEST_CLUSTER`. */
  readonly name?: string;
  /** The host under which the proxy's clients know it, by default `localhost`. */
  readonly publicHost?: string;
  readonly staticTokens?: readonly StaticToken[];
  /** Of the proxy, by default none. */
  readonly proxyProtocol?: ProxyProtocolConfig;
  /** By default none: the password alone. */
  readonly secondFactors?: readonly SecondFactor[];
  /** Where Auth's audit log is; by default below the data directory. */
  readonly auditDir?: string;
}

export const TEST_CLUSTER = "cluster.test";

/** A TCP app resource as the configuration file would give it. */
export function tcpApp(name: string, uri: string, spec: Partial<App["spec"]> = {}): App {
  const labels = { "teleport.dev/origin": "config-file" };
  return { kind: "app", version: "v3", metadata: { name, labels }, spec: { uri, ...spec } };
}

/** One user's login, with a client of the API through the proxy. */
export interface TestLogin {
  readonly client: RpcClient;
  readonly certPem: string;
  readonly keyPem: string;
}

/** Auth, Proxy and App Service in this process: loopback, free ports, a temporary directory. */
export async function startTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const cluster = new TestCluster(options);
  try {
    await cluster.start();
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  return cluster;
}

export class TestCluster implements AsyncDisposable {
  dataDir = "";
  auth!: AuthService;
  proxy!: ProxyService;
  app!: AppService;
  /** What proxy and agents would have stored: each with a renewed certificate, or other authorities. */
  readonly renewed: HostRecord[] = [];
  readonly #options: TestClusterOptions;
  readonly #log: Logger;
  readonly #life = new Lifetime();
  readonly #routes = new RouteCounters();
  #apps: readonly App[] = [];
  #authAddress = "127.0.0.1:0";
  #port = 0;
  #hostCas: readonly string[] = [];
  #stopAuth: () => Promise<void> = async () => {};

  constructor(options: TestClusterOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLogger;
  }

  /** `host:port` of the proxy's one port. */
  get proxyAddress(): string {
    return `127.0.0.1:${this.proxy.port}`;
  }

  async start(): Promise<void> {
    this.dataDir = await mkdtemp(join(tmpdir(), "cluster-"));
    this.#life.defer(() => rm(this.dataDir, { recursive: true, force: true }));
    this.#apps = [tcpApp("echo", `tcp://127.0.0.1:${await this.#startEcho()}`), ...(this.#options.apps ?? [])];
    await this.startAuth();
    this.#life.defer(() => this.#stopAuth());
    await this.startProxy();
    this.#life.defer(() => this.proxy.close());
    await this.startApp();
    this.#life.defer(() => this.app.close());
  }

  /** A user with these roles who has set the password. */
  async createUser(name: string, password: string, roles: string[] = ["access"]): Promise<void> {
    await using admin = await this.adminClient();
    const { token } = await admin.call("user.invite", { name, roles });
    await using anonymous = this.anonymous();
    await anonymous.call("invite.accept", { token, password });
  }

  /** Logs in through the proxy, as `tsh login` does. */
  async login(user: string, password: string): Promise<TestLogin> {
    await using anonymous = this.anonymous();
    const keys = await generateKeyPair();
    const { login } = await anonymous.call("login.password", { user, password, csr: await createCsr(keys) });
    if (login === undefined) throw new Error(`${user} is asked for a second factor`);
    const identity = { certPem: login.cert, keyPem: keys.keyPem };
    return { client: this.#client(identity), ...identity };
  }

  /** Opens an app session with a key of its own. */
  async appSession(login: TestLogin, app: string): Promise<{ session: AppSession; answer: AppSessionAnswer }> {
    const keys = await generateKeyPair();
    const answer = await login.client.call("app_session.create", { app, csr: await createCsr(keys) });
    return { answer, session: appSessionOf(answer, keys.keyPem) };
  }

  /** A link to an agent of the session's app, through the proxy. */
  dialLink(session: AppSession, o: Partial<DialAppLinkOptions> = {}): Promise<AppLink> {
    return dialAppLink({
      session,
      proxies: [this.proxyAddress],
      routes: this.#routes,
      instance: systemRandom(8),
      clock: systemClock,
      counters: new Counters(),
      log: this.#log,
      ...o,
    });
  }

  /** With the administrator's identity, through the proxy. */
  async adminClient(): Promise<RpcClient> {
    const admin = JSON.parse(await readFile(join(this.dataDir, ADMIN_FILE), "utf8"));
    return this.#client({ certPem: admin.cert, keyPem: admin.key });
  }

  /** Without an identity. */
  anonymous(): RpcClient {
    return this.#client(undefined);
  }

  /** What Auth has in its audit log. */
  async auditEvents(types: string[]): Promise<AuditEvent[]> {
    await using audit = await openAuditLog({ dir: this.#auditDir, clock: systemClock });
    return audit.search({ types });
  }

  /** Stops the agent as SIGTERM does and starts it with `apps` beside `echo`. */
  async restartApp(apps: readonly App[]): Promise<void> {
    await this.app.drain(0);
    this.#apps = [...this.#apps.slice(0, 1), ...apps];
    await this.startApp();
  }

  async startAuth(): Promise<void> {
    await mkdir(join(this.dataDir, "backend"), { recursive: true, mode: 0o700 });
    const backend = openSqlite(join(this.dataDir, "backend", "sqlite.db"), { clock: systemClock });
    const audit = await openAuditLog({ dir: this.#auditDir, clock: systemClock });
    this.auth = await startAuth({
      config: {
        clusterName: this.#options.name ?? TEST_CLUSTER,
        listenAddr: this.#authAddress,
        secondFactors: this.#options.secondFactors ?? [],
        staticTokens: this.#options.staticTokens,
      },
      dataDir: this.dataDir,
      backend,
      audit,
      clock: systemClock,
      log: this.#log,
    });
    this.#authAddress = this.auth.listenAddress; // A restart takes the same one.
    this.#stopAuth = async () => {
      await this.auth.close();
      await audit[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    };
  }

  async stopAuth(): Promise<void> {
    await this.#stopAuth();
  }

  async startProxy(): Promise<void> {
    this.proxy = await startProxy({
      identity: await this.#identity("Proxy"),
      storeIdentity: async (record) => void this.renewed.push(record),
      config: {
        webListenAddr: `127.0.0.1:${this.#port}`,
        publicAddrs: [this.#options.publicHost ?? "localhost"],
        tunnelPublicAddrs: [],
        httpsKeypairs: [],
        proxyProtocol: this.#options.proxyProtocol,
      },
      authAddress: this.auth.listenAddress,
      ...this.#host(),
    });
    this.#port = this.proxy.port; // A restart takes the same one.
    await this.proxy.ready;
  }

  async startApp(): Promise<void> {
    this.app = await this.#startAgent(await this.#identity("App"), this.#apps);
  }

  /** One more agent, on a host of its own, for the same apps or others. */
  async addAgent(apps: readonly App[] = this.#apps): Promise<{ agent: AppService; hostId: string }> {
    const hostId = randomUUID();
    const credentials = await this.auth.localIdentity("App", hostId);
    const dataDir = join(this.dataDir, hostId);
    const agent = await this.#startAgent({ hostId, ...credentials }, apps, dataDir);
    this.#life.defer(() => agent.close());
    return { agent, hostId };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#life.close();
  }

  get #auditDir(): string {
    return this.#options.auditDir ?? join(this.dataDir, "log");
  }

  async #startAgent(identity: HostRecord, apps: readonly App[], dataDir = this.dataDir): Promise<AppService> {
    const { proxyAddress } = this;
    const { healthIntervalMs = 0, selectors } = this.#options;
    const agent = await startApp({
      identity,
      storeIdentity: async (record) => void this.renewed.push(record),
      apps,
      selectors,
      proxyAddress,
      healthIntervalMs,
      ...this.#host(),
      dataDir,
    });
    await agent.ready;
    return agent;
  }

  #host() {
    return { dataDir: this.dataDir, hostname: "localhost", clock: systemClock, log: this.#log };
  }

  async #identity(role: "Proxy" | "App") {
    const hostId = await hostUuid(this.dataDir);
    const credentials = await this.auth.localIdentity(role, hostId);
    this.#hostCas = credentials.hostCas;
    return { hostId, ...credentials };
  }

  #client(identity: { certPem: string; keyPem: string } | undefined): RpcClient {
    const trust = { cluster: this.auth.cluster, hostCas: this.#hostCas };
    return new RpcClient({
      dial: tcpDial(this.proxyAddress),
      trust,
      identity,
      servername: "localhost",
      log: this.#log,
    });
  }

  async #startEcho(): Promise<number> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {});
      socket.pipe(socket);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    this.#life.defer(() => void server.close());
    return (server.address() as AddressInfo).port;
  }
}

/** What a client makes of Auth's answer. */
export function appSessionOf(answer: AppSessionAnswer, keyPem: string): AppSession {
  return {
    sessionId: answer.session_id,
    cluster: answer.cluster,
    certPem: answer.cert,
    keyPem,
    hostCas: answer.host_cas,
    hostIds: answer.agents.map((agent) => agent.host_id),
    routeKey: Buffer.from(answer.route_key, "base64"),
  };
}
