import type { Socket } from "node:net";
import type { ByteStream, Clock, Counters, Logger, Malformed } from "../base/mod.ts";
import type { CloseCode, Link, OpenRequest } from "../link/mod.ts";
import type { AppIdentity, HostIdentity } from "../pki/mod.ts";

export interface Tools {
  clock: Clock;
  counters: Counters;
  log: Logger;
}

/** A host certificate with its key, and the authorities that vouch for other hosts. Asked for each handshake. */
export interface HostCredentials {
  certPem: string;
  keyPem: string;
  cluster: string;
  hostCas: readonly string[];
}

// ---- ClientHello and dispatch

export interface ClientHello {
  readonly serverName: string | undefined;
  readonly alpn: readonly string[];
  /** Octets of the TLS records that held it; later octets may follow on the socket. */
  readonly length: number;
}

/** One accepted connection whose first octets were a ClientHello. */
export interface HelloConnection {
  /** Paused, with everything unread: hand it to `tlsServer.emit("connection", socket)` or `relay`. */
  readonly socket: Socket;
  readonly hello: ClientHello;
}

export interface PortDispatcherOptions extends Tools {
  /** Takes the socket over. */
  onHello(connection: HelloConnection): void;
  /** A connection that began with the data-connection magic; `ProxyTunnel.dataConnection`. */
  onData(socket: Socket): void;
}
export declare class PortDispatcher {
  constructor(options: PortDispatcherOptions);
  /** From `net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, …)`. */
  accept(socket: Socket): void;
  /** Ends the connections that were not dispatched yet. */
  close(): void;
}

// ---- the proxy's end

export interface RouteSession {
  /** 32 hexadecimal digits. */
  readonly sessionId: string;
  readonly routeKey: Uint8Array;
  readonly cluster: string;
  readonly app: string;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

export interface ProxyTunnelOptions extends Tools {
  credentials(): HostCredentials;
  /** An app session, or undefined after at most 2 s: the view may still be catching up. */
  session(sessionId: string, signal: AbortSignal): Promise<RouteSession | undefined>;
  /** The host ids of agents that serve this session's app, preferred first. */
  agents(session: RouteSession): readonly string[];
}

/** Control connections, data-connection pools and routes of one proxy. */
export declare class ProxyTunnel {
  constructor(options: ProxyTunnelOptions);
  /** ALPN `tp-control/1`. */
  control(socket: Socket): void;
  /** ALPN `tp-link/1` with a route token. */
  link(connection: HelloConnection): void;
  dataConnection(socket: Socket): void;
  /** Agents with a control connection now. */
  connectedAgents(): readonly { hostId: string; connectedAt: number }[];
  onAgentsChange(listener: () => void): void;
  /** The session ended or was locked: cut its relays. */
  cutSession(sessionId: string): void;
  /** The host was locked: cut its control and data connections. */
  cutHost(hostId: string): void;
  /** Tells agents to expect no new routes; relays go on. */
  drain(): void;
  close(): void;
}

// ---- the agent's end

export interface AgentTunnelOptions extends Tools {
  /** `host:port` of one proxy's `tunnel_public_addr`. */
  proxyAddress: string;
  credentials(): HostCredentials;
  /** 8 octets of this process, also in each link's HELLO. */
  instance: Uint8Array;
  /** A relayed client: usually `AppLinkServer.accept`. */
  onRoute(socket: Socket, route: Route): void;
  onState?(state: "connected" | "disconnected", detail: string): void;
}

/** What the proxy says about a relayed connection. Only the session is checked again, against the certificate. */
export interface Route {
  readonly sessionId: string;
  readonly app: string;
  readonly clientAddress: string;
}

/** One agent's control connection to one proxy, with its idle data connections; reconnects by itself. */
export declare class AgentTunnel {
  constructor(options: AgentTunnelOptions);
  readonly connected: boolean;
  /** Resolves with the first control connection. */
  readonly ready: Promise<void>;
  /** Tells the proxy to send no more clients; relayed connections go on. */
  drain(): void;
  close(): Promise<void>;
}

/** Why a client gets no link; the text is shown to the user. */
export interface LinkRefusal {
  readonly code: Extract<CloseCode, "access-denied" | "session-ended" | "shutdown" | "internal">;
  readonly message: string;
}

export interface LinkContext {
  readonly identity: AppIdentity;
  readonly route: Route;
}

export interface AppLinkServerOptions extends Tools {
  credentials(): HostCredentials;
  /** The user authorities of the app's own cluster. */
  userCas(): readonly string[];
  instance: Uint8Array;
  /** The agent is the authority: route served, session alive, not locked, RBAC. `undefined` lets the client in. */
  authorize(context: LinkContext): Promise<LinkRefusal | undefined> | LinkRefusal | undefined;
  onOpen(request: OpenRequest, context: LinkContext): void;
  onLink?(link: Link, context: LinkContext): void;
}

export declare class AppLinkServer {
  constructor(options: AppLinkServerOptions);
  accept(socket: Socket, route: Route): void;
  /** Ends the links of a session, their streams with "session-ended". */
  endSession(sessionId: string, message: string): void;
  drain(): void;
  /** Resolves when all links have ended; after `graceMs` they are cut. */
  close(graceMs?: number): Promise<void>;
}

// ---- the client's end

/** What `app_session.create` answered, with the key that stayed here. */
export interface AppSession {
  readonly sessionId: string;
  readonly cluster: string;
  readonly certPem: string;
  readonly keyPem: string;
  readonly hostCas: readonly string[];
  readonly hostIds: readonly string[];
  /** 32 octets. */
  readonly routeKey: Uint8Array;
}

export interface DialAppLinkOptions extends Tools {
  session: AppSession;
  /** `host:port`, tried in this order. */
  proxies: readonly string[];
  routes: RouteCounters;
  instance: Uint8Array;
  /** Asked once when an agent is not among `hostIds`: `app_session.agents`. */
  refreshAgents?(signal: AbortSignal): Promise<{ hostIds: readonly string[]; hostCas: readonly string[] }>;
  signal?: AbortSignal;
}

export interface AppLink {
  readonly link: Link;
  /** The agent that answered. */
  readonly agent: HostIdentity;
  /** The proxy that relays, `host:port`. */
  readonly proxy: string;
}

/** A TLS connection to an agent of the session's app through one of the proxies, and the link on it. Rejects with TunnelError subclasses or LinkClosedError. */
export declare function dialAppLink(options: DialAppLinkOptions): Promise<AppLink>;

/** The client's counter per session and proxy: keep one for the process's life. */
export declare class RouteCounters {
  next(sessionId: string, proxy: string): number;
  /** The session ended. */
  forget(sessionId: string): void;
}

// ---- sockets

/** Joins two sockets until both directions have ended; half-close and resets pass through, buffers are bounded. */
export interface RelayTotals {
  readonly aToB: number;
  readonly bToA: number;
}
export declare function relay(a: Socket, b: Socket, done?: (totals: RelayTotals) => void): { cut(): void };

/** A socket made with `allowHalfOpen: true` as a ByteStream. */
export declare function socketStream(socket: Socket): ByteStream;

export declare function parseClientHello(bytes: Uint8Array): ClientHello | "incomplete" | Malformed;
