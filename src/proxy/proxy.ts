import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type HostPort, type Proxy as ProxyResource, parseHostPort } from "../api/mod.ts";
import { type Clock, Counters, Lifetime, type Logger, sleep, VERSION } from "../base/mod.ts";
import {
  Announcement,
  API_ALPN,
  authorityCerts,
  CachedView,
  HostKeeper,
  type HostRecord,
  leafOf,
  RpcClient,
  tcpDial,
} from "../rpc/mod.ts";
import {
  CONTROL_ALPN,
  DATA_ALPN,
  type HelloConnection,
  LINK_ALPN,
  type PeerAddress,
  PortDispatcher,
  ProxyTunnel,
} from "../tunnel/mod.ts";
import { balancerCheck, type ProxyProtocolConfig } from "./balancers.ts";
import { ClientAddresses } from "./client-addresses.ts";
import { ProxyListenError } from "./errors.ts";
import { DRAIN_MS, DRAIN_POLL_MS, MAX_PROXY_CONNECTIONS, PROXY_ANNOUNCE_TTL_MS, WITHDRAW_MS } from "./limits.ts";
import { AuthRelay } from "./relay-to-auth.ts";
import { RootTunnels } from "./root-tunnels.ts";
import { PROXY_KINDS, type ProxyView, Routes } from "./routes.ts";
import { clusterBackend } from "./web/backend.ts";
import { type KeyPairFiles, WebCertificates } from "./web/certificate.ts";
import type { PublicFacts } from "./web/find.ts";
import { WebServer } from "./web/server.ts";

export interface ProxyConfig {
  /** `0.0.0.0:3080`; port 0 takes any. */
  readonly webListenAddr: string;
  /** `host:port` or `host` each; the first is the one that clients are told. */
  readonly publicAddrs: readonly string[];
  /** For agents; by default the first of `publicAddrs`. */
  readonly tunnelPublicAddrs: readonly string[];
  /** Empty: a self-signed certificate, kept under the data directory. */
  readonly httpsKeypairs: readonly KeyPairFiles[];
  /** Balancers stand before this proxy, and say where clients are. */
  readonly proxyProtocol?: ProxyProtocolConfig | undefined;
}

export interface ProxyOptions {
  readonly identity: HostRecord;
  /** Keeps renewed credentials for the next start. */
  readonly storeIdentity?: ((record: HostRecord) => Promise<void>) | undefined;
  readonly config: ProxyConfig;
  /** `host:port` of Auth's API. */
  readonly authAddress: string;
  readonly dataDir: string;
  readonly hostname: string;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface ProxyService extends AsyncDisposable {
  /** `host:port` that it really listens on. */
  readonly address: string;
  readonly port: number;
  /** Its view of the cluster is complete and Auth has taken its announcement. */
  readonly ready: Promise<void>;
  /** The default web certificate, PEM: what a client must trust where it is self-signed. */
  readonly webCertPem: string;
  readonly counters: Counters;
  /** Why it works from an old view of the cluster, or not at all. */
  readonly problem: string | undefined;
  /** Agents with a control connection here. */
  connectedAgents(): readonly string[];
  /** Accepts no more, lets relayed connections end for `graceMs`, then closes. */
  drain(graceMs?: number): Promise<void>;
  close(): Promise<void>;
}

/** Listens, and resolves once it does; `ready` tells when Auth has answered. */
export async function startProxy(options: ProxyOptions): Promise<ProxyService> {
  const { config, dataDir, clock } = options;
  const [firstPair, ...otherPairs] = config.httpsKeypairs;
  const certificates = firstPair
    ? await WebCertificates.fromFiles([firstPair, ...otherPairs])
    : await WebCertificates.selfSigned(dataDir, webHosts(options), clock);
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true, keepAlive: true });
  const address = await listen(server, config.webListenAddr);
  return new RunningProxy(options, certificates, server, address);
}

class RunningProxy implements ProxyService {
  readonly port: number;
  readonly address: string;
  readonly webCertPem: string;
  readonly ready: Promise<void>;
  readonly counters = new Counters();
  readonly #options: ProxyOptions;
  readonly #server: Server;
  readonly #client: RpcClient;
  readonly #view: ProxyView;
  readonly #keeper: HostKeeper;
  readonly #web: WebServer;
  readonly #api: AuthRelay;
  readonly #tunnel: ProxyTunnel;
  readonly #roots: RootTunnels;
  readonly #dispatcher: PortDispatcher;
  readonly #announcement: Announcement;
  readonly #life = new Lifetime();
  /** Clients' connections that were handed to the tunnel. */
  readonly #links = new Set<Socket>();
  /** Leaf clusters that were connected at the last announcement. */
  #announcedLeaves = "";
  #draining: Promise<void> | undefined;

  constructor(options: ProxyOptions, certificates: WebCertificates, server: Server, bound: AddressInfo) {
    const { identity, authAddress, clock, log } = options;
    this.#options = options;
    this.#server = server;
    this.port = bound.port;
    this.address = hostPort(bound.address, bound.port);
    this.webCertPem = certificates.defaultPair.cert;
    const tools = { clock, log, counters: this.counters };
    const trust = { cluster: identity.cluster, hostCas: identity.hostCas };
    this.#client = new RpcClient({ dial: tcpDial(authAddress), trust, identity, log });
    const anonymous = new RpcClient({ dial: tcpDial(authAddress), trust, log });
    const clients = new ClientAddresses({ hostId: identity.hostId, rpc: this.#client, clock });
    this.#view = new CachedView(this.#client, PROXY_KINDS, { log });
    this.#keeper = new HostKeeper({
      record: identity,
      client: this.#client,
      view: this.#view,
      clock,
      log,
      store: options.storeIdentity,
    });
    this.#web = new WebServer({
      backend: clusterBackend({
        view: this.#view,
        anonymous,
        inNameOf: (client) =>
          new RpcClient({ dial: (signal) => clients.dial(authAddress, client, signal), trust, log }),
        facts: () => this.#facts(),
      }),
      contextFor: (name) => certificates.contextFor(name),
      certificate: certificates.defaultPair,
      counters: this.counters,
      log,
    });
    this.#api = new AuthRelay(addressOf(authAddress), clients, tools);
    const routes = new Routes(this.#view, tools, {
      session: (sessionId) => this.#tunnel.cutSession(sessionId),
      host: (hostId) => this.#tunnel.cutHost(hostId),
    });
    this.#tunnel = new ProxyTunnel({
      ...tools,
      credentials: () => this.#credentials(),
      session: (id, signal) => routes.session(id, signal),
      agents: (session) => routes.agents(session),
      leafCas: () => leafAuthorities(this.#view),
    });
    this.#roots = new RootTunnels({
      ...tools,
      view: this.#view,
      credentials: () => this.#credentials(),
      routes,
      tunnel: this.#tunnel,
      api: this.#api,
    });
    this.#keeper.onChange(() => {
      const { cluster, hostCas } = this.#keeper.record;
      anonymous.useTrust({ cluster, hostCas });
      this.#tunnel.reviewAgents();
      this.#roots.renew();
    });
    this.#view.onChange((change) => {
      if (change.kind === "cert_authority" || change.kind === "remote_cluster") this.#tunnel.reviewAgents();
    });
    this.#dispatcher = new PortDispatcher({
      ...tools,
      isBalancer: balancerCheck(options.config.proxyProtocol),
      onHello: (connection) => this.#dispatch(connection),
      onData: (socket) => this.#tunnel.dataConnection(socket),
    });
    server.on("connection", (socket) => this.#dispatcher.accept(socket));
    server.on("error", (error) => log.error({ error: error.message }, "the proxy's port failed"));
    server.on("drop", () => this.counters.count("port.too-many"));
    server.maxConnections = MAX_PROXY_CONNECTIONS;
    this.#announcement = new Announcement({
      client: this.#client,
      clock,
      log,
      ttlMs: PROXY_ANNOUNCE_TTL_MS,
      resource: (expires) => this.#resource(expires),
    });
    this.#tunnel.onAgentsChange(() => {
      const leaves = this.#tunnel.connectedLeaves().join();
      if (leaves !== this.#announcedLeaves) this.#announcement.renew();
    });
    this.ready = Promise.all([this.#view.ready, this.#announcement.ready]).then(() => {});
    this.ready.catch(() => {}); // Closed before it was ready: nobody need wait for it.

    // Ended in reverse order.
    this.#life.defer(() => anonymous.close());
    this.#life.defer(() => this.#client.close());
    this.#life.defer(() => this.#view.close());
    this.#life.defer(() => this.#keeper.close());
    this.#life.defer(() => this.#announcement.stop());
    this.#life.defer(() => routes.close());
    this.#life.defer(() => this.#tunnel.close());
    this.#life.defer(() => this.#roots.close());
    this.#life.defer(() => this.#api.close());
    this.#life.defer(() => this.#web.close());
    this.#life.defer(() => this.#dispatcher.close());
    this.#life.defer(() => void server.close());
    log.info({ address: this.address, publicAddr: this.#facts().publicAddr }, "the proxy is listening");
  }

  get problem(): string | undefined {
    return this.#view.staleSince === undefined ? undefined : "the Auth Service is away";
  }

  connectedAgents(): readonly string[] {
    return this.#tunnel.connectedAgents().map((agent) => agent.hostId);
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

  /** By ALPN; a browser offers none of ours. */
  #dispatch(connection: HelloConnection): void {
    const { alpn } = connection.hello;
    if (alpn.includes(API_ALPN)) this.#callApi(connection);
    else if (alpn.includes(CONTROL_ALPN)) this.#tunnel.control(connection.socket);
    else if (alpn.includes(LINK_ALPN)) this.#link(connection);
    else if (alpn.includes(DATA_ALPN)) this.#tunnel.nestedData(connection.socket);
    else this.#web.handle(connection.socket, connection.from);
  }

  #callApi(connection: HelloConnection): void {
    const leaf = leafOf(connection.hello.alpn);
    if (leaf === undefined || leaf === this.#options.identity.cluster)
      this.#api.handle(connection.socket, textOf(connection.from));
    else this.#tunnel.leafApi(connection, leaf);
  }

  #link(connection: HelloConnection): void {
    const { socket } = connection;
    this.#links.add(socket);
    socket.once("close", () => this.#links.delete(socket));
    this.#tunnel.link(connection);
  }

  async #drain(graceMs: number): Promise<void> {
    this.#server.close();
    this.#tunnel.drain();
    this.#roots.drain();
    const deadline = performance.now() + graceMs;
    while (this.#links.size > 0 && performance.now() < deadline) await sleep(DRAIN_POLL_MS);
    await this.#announcement.withdraw(WITHDRAW_MS);
    await this.close();
  }

  #resource(expires: number): ProxyResource {
    const { identity, config, hostname } = this.#options;
    const leaves = [...this.#tunnel.connectedLeaves()];
    this.#announcedLeaves = leaves.join();
    return {
      kind: "proxy",
      version: "v1",
      metadata: { name: identity.hostId, expires: new Date(expires).toISOString() },
      spec: {
        hostname,
        version: VERSION,
        // Only what was configured: agents name apps after it, and else after the cluster.
        public_addrs: config.publicAddrs.map((address) => this.#withPort(address)),
        tunnel_public_addr: this.#facts().tunnelPublicAddr,
        ...(leaves.length > 0 && { leaf_clusters: leaves }),
      },
    };
  }

  #facts(): PublicFacts {
    const { config, hostname, identity } = this.#options;
    const publicAddr = this.#withPort(config.publicAddrs[0] ?? hostname);
    const names = [hostname, ...config.publicAddrs, ...config.tunnelPublicAddrs];
    return {
      clusterName: identity.cluster,
      hosts: names.map((name) => (parseHostPort(name)?.host ?? name).toLowerCase()),
      publicAddr,
      tunnelPublicAddr: config.tunnelPublicAddrs[0] ? this.#withPort(config.tunnelPublicAddrs[0]) : publicAddr,
      webListenAddr: this.address,
    };
  }

  /** An address without a port means the port that the proxy listens on. */
  #withPort(address: string): string {
    const parsed = parseHostPort(address);
    return parsed === undefined ? address : hostPort(parsed.host, parsed.port ?? this.port);
  }

  #credentials() {
    const { certPem, keyPem, cluster, hostCas } = this.#keeper.record;
    return { certPem, keyPem, cluster, hostCas };
  }
}

function textOf({ address, port }: PeerAddress): string {
  return `${address || "unknown"}:${port}`;
}

/** Not of roots: their proxies do not connect here. */
function leafAuthorities(view: ProxyView): string[] {
  const authorities = view.list("cert_authority");
  return view
    .list("remote_cluster")
    .flatMap(({ metadata }) => authorityCerts(authorities, { type: "host", cluster: metadata.name, known: [] }));
}

function webHosts({ config, hostname }: ProxyOptions): string[] {
  const names = config.publicAddrs.length > 0 ? config.publicAddrs : [hostname];
  const hosts = names.map((address) => parseHostPort(address)?.host ?? address);
  return [...new Set([...hosts, "localhost", "127.0.0.1"])];
}

async function listen(server: Server, listenAddr: string): Promise<AddressInfo> {
  const address = parseHostPort(listenAddr.replace(/:0$/, ""));
  const port = listenAddr.endsWith(":0") ? 0 : (address?.port ?? 3080);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ host: address?.host ?? "0.0.0.0", port }, resolve);
  try {
    await promise;
  } catch (cause) {
    throw new ProxyListenError(listenAddr, cause);
  }
  return server.address() as AddressInfo;
}

function addressOf(text: string): HostPort {
  return parseHostPort(text) ?? { host: text };
}

function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
