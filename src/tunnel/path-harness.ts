import { createPublicKey, randomBytes } from "node:crypto";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { type ByteStream, type Clock, Counters, silentLogger, splice, systemClock } from "../base/mod.ts";
import type { DialTcp } from "../dial/mod.ts";
import type { OpenRequest } from "../link/mod.ts";
import { createCa, generateKeyPair, type HostRole, issueHostCert, issueUserCert, type KeyedCert } from "../pki/mod.ts";
import { AgentTunnel } from "./agent-tunnel.ts";
import { AppLinkServer, type LinkContext, type LinkRefusal, type LinkSettings } from "./app-link-server.ts";
import { CONTROL_ALPN } from "./control-wire.ts";
import { DATA_ALPN, type Route } from "./data-wire.ts";
import type { AppSession } from "./dial-app-link.ts";
import { PortDispatcher } from "./dispatcher.ts";
import { ProxyTunnel } from "./proxy-tunnel.ts";
import { RouteCounters } from "./route-counters.ts";
import { LINK_ALPN } from "./route-token.ts";
import { socketStream } from "./socket-stream.ts";
import type { HostCredentials, RouteSession, Tools } from "./types.ts";

export const CLUSTER = "example.test";

/** For tests: the authorities of one cluster, and what they issue. */
export class TestAuthority {
  readonly hostCa: KeyedCert;
  readonly userCa: KeyedCert;

  private constructor(hostCa: KeyedCert, userCa: KeyedCert) {
    this.hostCa = hostCa;
    this.userCa = userCa;
  }

  static async create(cluster = CLUSTER): Promise<TestAuthority> {
    const now = Date.now();
    return new TestAuthority(
      await createCa({ cluster, type: "host", now }),
      await createCa({ cluster, type: "user", now }),
    );
  }

  /** `expires`: milliseconds since 1970; in the past, for what TLS itself must refuse. */
  async host(hostId: string, roles: HostRole[], expires?: number): Promise<HostCredentials> {
    const { keyPem, publicKeyPem } = await generateKeyPair();
    const certPem = await issueHostCert({
      ca: this.hostCa,
      publicKeyPem,
      now: Date.now(),
      cluster: CLUSTER,
      hostId,
      roles,
      ...(expires !== undefined && { expires }),
    });
    return { certPem, keyPem, cluster: CLUSTER, hostCas: [this.hostCa.certPem] };
  }

  /** An app session with its certificate; `certSessionId` makes them differ. */
  async session(hostIds: string[], o: { certSessionId?: string; expires?: number } = {}): Promise<AppSession> {
    const sessionId = randomBytes(16).toString("hex");
    const { keyPem, publicKeyPem } = await generateKeyPair();
    const certPem = await this.#appCert(publicKeyPem, o.certSessionId ?? sessionId, o.expires);
    const hostCas = [this.hostCa.certPem];
    return { sessionId, cluster: CLUSTER, certPem, keyPem, hostCas, hostIds, routeKey: randomBytes(32) };
  }

  /** The same session and key with another certificate. */
  async renewed(session: AppSession, expires?: number): Promise<AppSession> {
    const publicKeyPem = createPublicKey(session.keyPem).export({ type: "spki", format: "pem" }).toString();
    return { ...session, certPem: await this.#appCert(publicKeyPem, session.sessionId, expires) };
  }

  #appCert(publicKeyPem: string, sessionId: string, expires = Date.now() + 3_600_000): Promise<string> {
    return issueUserCert({
      ca: this.userCa,
      publicKeyPem,
      now: Date.now(),
      cluster: CLUSTER,
      user: "alice",
      roles: ["access"],
      traits: {},
      expires,
      route: { app: "tcp-app", publicAddr: "tcp-app.example.test", cluster: CLUSTER, sessionId },
    });
  }
}

export interface TestAgent {
  /** One more proxy for the same process. */
  alsoTo(proxy: TestProxy): Promise<void>;
  readonly tunnel: AgentTunnel;
  readonly server: AppLinkServer;
  readonly counters: Counters;
  close(): Promise<void>;
}

/** One proxy in this process, with agents as they are added. */
export class TestProxy implements AsyncDisposable {
  readonly counters = new Counters();
  readonly tools: Tools = { clock: systemClock, counters: this.counters, log: silentLogger };
  readonly sessions = new Map<string, RouteSession>();
  readonly tunnel: ProxyTunnel;
  readonly authority: TestAuthority;
  /** Its own; a test may change them. */
  readonly credentials: HostCredentials;
  agentIds: string[] = [];
  readonly unhealthy = new Set<string>();
  readonly #server: Server;
  readonly #dispatcher: PortDispatcher;
  readonly #agents: TestAgent[] = [];
  readonly #sockets = new Set<Socket>();

  private constructor(authority: TestAuthority, credentials: HostCredentials) {
    this.authority = authority;
    this.credentials = credentials;
    this.tunnel = new ProxyTunnel({
      ...this.tools,
      credentials: () => credentials,
      session: async (sessionId) => this.sessions.get(sessionId),
      agents: () => this.agentIds.map((hostId) => ({ hostId, healthy: !this.unhealthy.has(hostId) })),
    });
    this.#dispatcher = new PortDispatcher({
      ...this.tools,
      onData: (socket) => this.tunnel.dataConnection(socket),
      onHello: (connection) => {
        if (connection.hello.alpn.includes(CONTROL_ALPN)) this.tunnel.control(connection.socket);
        else if (connection.hello.alpn.includes(LINK_ALPN)) this.tunnel.link(connection);
        else if (connection.hello.alpn.includes(DATA_ALPN)) this.tunnel.nestedData(connection.socket);
        else connection.socket.destroy();
      },
    });
    this.#server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      this.#dispatcher.accept(socket);
    });
  }

  static async start(authority?: TestAuthority): Promise<TestProxy> {
    const ca = authority ?? (await TestAuthority.create());
    const proxy = new TestProxy(ca, await ca.host("proxy-1", ["Proxy"]));
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `localhost:${this.port}`;
  }

  /** A session that this proxy knows. */
  async session(hostIds = this.agentIds, o: { certSessionId?: string } = {}): Promise<AppSession> {
    const session = await this.authority.session(hostIds, o);
    this.know(session);
    return session;
  }

  know({ sessionId, cluster, routeKey }: AppSession): void {
    this.sessions.set(sessionId, { sessionId, cluster, routeKey, app: "tcp-app", expires: Date.now() + 3_600_000 });
  }

  async addAgent(
    hostId: string,
    o: {
      onOpen?: (request: OpenRequest, context: LinkContext) => void;
      authorize?: (context: LinkContext) => LinkRefusal | undefined;
      credentials?: HostCredentials;
      onRoute?: (socket: Socket) => void;
      /** The way to the proxy, by default straight. */
      proxyAddress?: string;
      /** As a proxy would that lies. */
      changeRoute?: (route: Route) => Route;
      linkSettings?: () => LinkSettings;
      userCas?: () => readonly string[];
      clock?: Clock;
      dialTcp?: DialTcp;
    } = {},
  ): Promise<TestAgent> {
    const credentials = o.credentials ?? (await this.authority.host(hostId, ["App"]));
    const counters = new Counters();
    const instance = randomBytes(8);
    const tools = { ...this.tools, counters };
    const server = new AppLinkServer({
      ...tools,
      clock: o.clock ?? tools.clock,
      credentials: () => credentials,
      userCas: o.userCas ?? (() => [this.authority.userCa.certPem]),
      instance,
      authorize: o.authorize ?? (() => undefined),
      onOpen: o.onOpen ?? ((request) => echo(request.accept())),
      ...(o.linkSettings && { linkSettings: o.linkSettings }),
    });
    const connectTo = (proxyAddress: string) =>
      new AgentTunnel({
        ...tools,
        proxyAddress,
        dialTcp: o.dialTcp,
        credentials: () => credentials,
        instance,
        onRoute: (socket, route) =>
          o.onRoute ? o.onRoute(socket) : server.accept(socket, o.changeRoute?.(route) ?? route),
      });
    const tunnel = connectTo(o.proxyAddress ?? this.address);
    const others: AgentTunnel[] = [];
    const agent = {
      tunnel,
      server,
      counters,
      close: async () => {
        await server.close();
        await Promise.all([tunnel, ...others].map((each) => each.close()));
      },
      async alsoTo(proxy: TestProxy) {
        const other = connectTo(proxy.address);
        others.push(other);
        proxy.agentIds.push(hostId);
        await other.ready;
      },
    };
    this.#agents.push(agent);
    this.agentIds.push(hostId);
    await tunnel.ready;
    return agent;
  }

  /** All connections are reset, those of agents too; new ones are taken. */
  dropConnections(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** As when the proxy is killed. */
  kill(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.#agents) await agent.close();
    this.#dispatcher.close();
    this.tunnel.close();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Counters, clock and log for a client, with what it needs besides. */
export function clientTools(): Tools & { routes: RouteCounters; instance: Uint8Array } {
  const tools = { clock: systemClock, counters: new Counters(), log: silentLogger };
  return { ...tools, routes: new RouteCounters(), instance: randomBytes(8) };
}

/** Sends back what comes, by credit; ends after the other end. */
export function echo(stream: ByteStream): void {
  stream.open({
    data: (chunk) => stream.write(chunk),
    end: () => stream.end(),
    reset: () => {},
    writable: (octets) => stream.credit(octets),
  });
}

/** An agent's `onOpen` that dials a port of this machine, before it accepts. */
export function dialTo(port: number): (request: OpenRequest) => void {
  return (request) => {
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
    socket.once("error", () => request.refuse("connection-refused", "nobody listens"));
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      splice(request.accept(), socketStream(socket), () => {});
    });
  };
}
