import { join } from "node:path";
import { sessionControls } from "../access/mod.ts";
import {
  type App,
  AUTH_PREFERENCE_NAME,
  type AuditEvent,
  type LabelConditions,
  NETWORKING_CONFIG_NAME,
  parseHostPort,
} from "../api/mod.ts";
import { openSpool, type Spool } from "../audit/mod.ts";
import { type Clock, Counters, Lifetime, type Logger, sleep, systemRandom } from "../base/mod.ts";
import type { DialTcp } from "../dial/mod.ts";
import type { OpenRequest } from "../link/mod.ts";
import { CachedView, HostKeeper, type HostRecord, RpcClient, tcpDial } from "../rpc/mod.ts";
import { AgentTunnel, AppLinkServer, type LinkContext, type LinkRefusal, ProxyConnections } from "../tunnel/mod.ts";
import { AppSet } from "./app-set.ts";
import { authorize, type Client, clientOf, type Denial, type Knowledge, standing } from "./authorize.ts";
import { Connections } from "./connection.ts";
import { Enforcement } from "./enforcement.ts";
import { DRAIN_MS, SPOOL_FLUSH_MS } from "./limits.ts";
import { linkSettings } from "./link-settings.ts";
import { tunnelAddresses } from "./proxies.ts";
import type { AgentDescription } from "./registration.ts";
import { Registrations } from "./registrations.ts";
import { AGENT_KINDS, type AgentView, Sessions } from "./sessions.ts";

export interface AppServiceOptions {
  readonly identity: HostRecord;
  /** Keeps renewed credentials for the next start. */
  readonly storeIdentity?: ((record: HostRecord) => Promise<void>) | undefined;
  /** Of its configuration file. */
  readonly apps: readonly App[];
  /** Which of the cluster's `app` resources it serves besides; by default none. */
  readonly selectors?: readonly LabelConditions[] | undefined;
  /** `host:port` of a proxy: the way to the API, and to clients. */
  readonly proxyAddress: string;
  /** The way to proxies, where it is not straight. */
  readonly dialTcp?: DialTcp | undefined;
  readonly dataDir: string;
  readonly hostname: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Between health checks of an app; 0: none. */
  readonly healthIntervalMs?: number;
}

export interface AppService extends AsyncDisposable {
  /** Every app is announced and every proxy connected. Pending while Auth or the proxy is away. */
  readonly ready: Promise<void>;
  readonly counters: Counters;
  /** Why it works from an old view of the cluster, or not at all. */
  readonly problem: string | undefined;
  /** Connections to apps now. */
  readonly connections: number;
  /** Takes no new connections, deregisters, lets open ones end for `graceMs`, then closes. */
  drain(graceMs?: number): Promise<void>;
  /** Resets what is open. The announcements stay until they lapse, as after a crash. */
  close(): Promise<void>;
}

/** Starts the agent. Resolves at once; `ready` tells when it serves. */
export async function startApp(options: AppServiceOptions): Promise<AppService> {
  const agent = new Agent(options);
  await agent.start();
  return agent;
}

class Agent implements AppService {
  readonly ready: Promise<void>;
  readonly counters = new Counters();
  readonly #options: AppServiceOptions;
  readonly #life = new Lifetime();
  readonly #client: RpcClient;
  readonly #view: AgentView;
  readonly #keeper: HostKeeper;
  readonly #sessions: Sessions;
  readonly #apps: AppSet;
  readonly #registrations: Registrations;
  readonly #connections: Connections;
  readonly #enforcement: Enforcement;
  readonly #links: AppLinkServer;
  readonly #proxies: ProxyConnections;
  readonly #isReady = Promise.withResolvers<void>();
  #spool: Spool | undefined;
  #draining: Promise<void> | undefined;

  constructor(options: AppServiceOptions) {
    const { identity, apps, selectors = [], proxyAddress, hostname, clock, log } = options;
    this.#options = options;
    this.ready = this.#isReady.promise;
    this.#client = new RpcClient({
      dial: tcpDial(proxyAddress, options.dialTcp),
      trust: { cluster: identity.cluster, hostCas: identity.hostCas },
      identity,
      servername: parseHostPort(proxyAddress)?.host,
      log,
    });
    const kinds = AGENT_KINDS.filter((kind) => kind !== "app" || selectors.length > 0);
    this.#view = new CachedView(this.#client, kinds, { log });
    this.#keeper = new HostKeeper({
      record: identity,
      client: this.#client,
      view: this.#view,
      clock,
      log,
      store: options.storeIdentity,
    });
    this.#registrations = new Registrations(
      { client: this.#client, clock, log, healthIntervalMs: options.healthIntervalMs },
      this.#description(),
    );
    this.#apps = new AppSet({
      apps,
      selectors,
      view: this.#view,
      clock,
      log,
      changed: (now) => this.#registrations.set(now),
    });
    this.#connections = new Connections({
      hostId: identity.hostId,
      hostname,
      clock,
      counters: this.counters,
      log,
      audit: (event) => this.#audit(event),
    });
    const tools = { clock, log, counters: this.counters };
    const instance = systemRandom(8);
    this.#links = new AppLinkServer({
      ...tools,
      instance,
      credentials: () => this.#credentials(),
      userCas: () => this.#userCas(),
      authorize: (context) => this.#admit(context),
      onOpen: (request, context) => void this.#open(request, context),
      linkSettings: () => linkSettings(this.#networking()),
      onLink: (link, context, how) => {
        if (how === "begins") this.#sessions.addLink(context.identity.route.sessionId, link.closed);
        this.#enforcement.addLink(link, context);
      },
    });
    this.#sessions = new Sessions(this.#view, clock, (id, message) => this.#endSession(id, message));
    this.#enforcement = new Enforcement({
      view: this.#view,
      clock,
      connections: this.#connections,
      standing: (client) => standing(client, this.#knowledge()),
    });
    this.#proxies = new ProxyConnections(
      (address) =>
        new AgentTunnel({
          ...tools,
          instance,
          proxyAddress: address,
          dialTcp: options.dialTcp,
          credentials: () => this.#credentials(),
          onRoute: (socket, route) => this.#links.accept(socket, route),
          onState: (state, detail) =>
            log.info({ proxy: address, detail }, `${state} ${state === "connected" ? "to" : "from"} a proxy`),
        }),
    );
  }

  get connections(): number {
    return this.#connections.open;
  }

  get problem(): string | undefined {
    return this.#view.staleSince === undefined ? undefined : "the Auth Service is away";
  }

  async start(): Promise<void> {
    const { identity, dataDir, clock, log } = this.#options;
    const about = { cluster_name: identity.cluster, server_id: identity.hostId };
    this.#spool = await openSpool({ path: join(dataDir, "spool", "audit.log"), clock, log, about });
    const delivery = deliver(this.#spool, this.#client, log);
    // Ended in reverse order.
    this.#life.defer(() => this.#client.close());
    this.#life.defer(delivery.close);
    this.#life.defer(() => this.#view.close());
    this.#life.defer(() => this.#keeper.close());
    this.#life.defer(() => this.#registrations.stop());
    this.#life.defer(() => this.#apps.close());
    this.#life.defer(() => this.#sessions.close());
    this.#life.defer(() => this.#enforcement.close());
    this.#life.defer(() => this.#proxies.close());
    this.#life.defer(() => this.#links.close(0));
    this.#keeper.onChange(() => this.#proxies.renew());
    this.#serve().then(this.#isReady.resolve, (error: unknown) => {
      if (!this.#life.signal.aborted) log.error({ error: String(error) }, "the app service could not start serving");
    });
  }

  drain(graceMs = DRAIN_MS): Promise<void> {
    this.#draining ??= this.#drain(graceMs);
    return this.#draining;
  }

  close(): Promise<void> {
    return this.#life.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #serve(): Promise<void> {
    await this.#view.ready;
    this.#followProxies();
    this.#view.onChange((change) => {
      if (change.kind === "proxy") this.#followProxies();
    });
    await this.#apps.start();
    await this.#registrations.start(this.#view.list("app_server"), () => this.#apps.now());
    await Promise.all([this.#registrations.ready(), this.#proxies.ready()]);
  }

  #followProxies(): void {
    this.#registrations.update(this.#description());
    this.#proxies.set(tunnelAddresses(this.#view.list("proxy"), this.#options.proxyAddress));
  }

  async #drain(graceMs: number): Promise<void> {
    this.#proxies.drain();
    this.#apps.close();
    await Promise.all([this.#registrations.withdraw(), this.#links.close(graceMs)]);
    await this.close();
  }

  async #admit({ identity }: LinkContext): Promise<LinkRefusal | undefined> {
    await this.#sessions.find(identity.route.sessionId);
    const refusal = this.#decide(identity);
    if (refusal !== undefined) {
      const { user, route } = identity;
      this.counters.count(`app.link-refused.${refusal.code}`);
      this.#options.log.info({ user, app: route.app, reason: refusal.detail }, "a client was refused");
    }
    return refusal;
  }

  async #open(request: OpenRequest, context: LinkContext): Promise<void> {
    const { identity } = context;
    const refusal = this.#decide(identity);
    const app = this.#registrations.app(identity.route.app);
    const client = clientOf(identity, this.#knowledge());
    if (refusal === undefined && app !== undefined && client !== undefined) {
      return this.#connections.serve(request, { context, client, app, controls: this.#controls(client) });
    }
    const code = refusal?.code === "session-ended" ? "session-ended" : "access-denied";
    request.refuse(code, refusal?.message ?? "this agent does not serve the app");
  }

  #decide(identity: LinkContext["identity"]): Denial | undefined {
    return authorize(identity, this.#knowledge());
  }

  #knowledge(): Knowledge {
    const { identity, clock } = this.#options;
    const now = clock.wallMs();
    const { staleSince } = this.#view;
    return {
      cluster: identity.cluster,
      hostId: identity.hostId,
      now,
      staleMs: staleSince === undefined ? 0 : now - staleSince,
      locks: this.#view.list("lock"),
      preference: this.#view.get("cluster_auth_preference", AUTH_PREFERENCE_NAME),
      app: (name) => this.#registrations.app(name),
      role: (name) => this.#view.get("role", name),
      roleMap: (root) => this.#view.get("cert_authority", `user/${root}`)?.spec.role_map,
      session: (id) => this.#sessions.get(id),
    };
  }

  #networking() {
    return this.#view.get("cluster_networking_config", NETWORKING_CONFIG_NAME);
  }

  #controls(client: Client) {
    const roles = client.roles.map((name) => this.#view.get("role", name)).filter((role) => role !== undefined);
    return sessionControls(roles, this.#view.get("cluster_auth_preference", AUTH_PREFERENCE_NAME), this.#networking());
  }

  #endSession(sessionId: string, message: string): void {
    this.#connections.enforce(({ identity }) => (identity.route.sessionId === sessionId ? message : undefined));
    this.#links.endSession(sessionId, message);
  }

  #audit(event: AuditEvent): void {
    this.#spool?.put(event);
  }

  /** Of this cluster, and of the roots whose users it trusts. */
  #userCas(): readonly string[] {
    const { cluster, userCas } = this.#keeper.record;
    const foreign = this.#view
      .list("cert_authority")
      .filter(({ spec }) => spec.type === "user" && spec.cluster_name !== cluster)
      .flatMap(({ spec }) => [...spec.active_keys, ...spec.additional_trusted_keys]);
    return [...userCas, ...foreign.map(({ cert }) => cert)];
  }

  #description(): AgentDescription {
    const { identity, hostname } = this.#options;
    const proxies = this.#view.list("proxy").sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    return {
      hostId: identity.hostId,
      hostname,
      cluster: identity.cluster,
      proxyAddrs: proxies.flatMap(({ spec }) => spec.public_addrs),
    };
  }

  #credentials() {
    const { certPem, keyPem, cluster, hostCas } = this.#keeper.record;
    return { certPem, keyPem, cluster, hostCas };
  }
}

/** Brings the spool's events to Auth until closed; then what is left has a moment more. */
function deliver(spool: Spool, client: RpcClient, log: Logger): { close(): Promise<void> } {
  const stop = new AbortController();
  const send = async (events: AuditEvent[]) => {
    await client.call("audit.emit", { events }, { signal: stop.signal });
  };
  const running = spool.drain(send, stop.signal);
  return {
    async close() {
      const deadline = performance.now() + SPOOL_FLUSH_MS;
      while (spool.pending > 0 && performance.now() < deadline) await sleep(10);
      stop.abort(new Error("the agent ended"));
      await running;
      if (spool.pending > 0) log.info({ events: spool.pending }, "audit events stay in the spool until the next start");
      await spool[Symbol.asyncDispose]();
    },
  };
}
