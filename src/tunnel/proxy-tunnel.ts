import type { Socket } from "node:net";
import { isMalformed, messageOf } from "../base/mod.ts";
import { verifyChain } from "../pki/mod.ts";
import { AddressLimiter } from "./address-limiter.ts";
import { type AgentHost, preferred } from "./agent-choice.ts";
import { AgentControl } from "./agent-control.ts";
import { ALERT, refuseHello } from "./alert.ts";
import { CONTROL_ALPN } from "./control-wire.ts";
import { decodeGreeting, GREETING_LEN, type Route } from "./data-wire.ts";
import type { HelloConnection } from "./dispatcher.ts";
import { peekSocket } from "./first-octets.ts";
import {
  CONTROL_HELLO_TIMEOUT_MS,
  HELLO_TIMEOUT_MS,
  MAX_CONTROLS,
  MAX_ROUTE_ATTEMPTS,
  SESSION_WAIT_MS,
} from "./limits.ts";
import { type Relay, relay } from "./relay.ts";
import { ANY_INSTANCE, routeTokenOf } from "./route-token.ts";
import { RouteVerifier } from "./route-verifier.ts";
import { serveTls } from "./tls-ends.ts";
import type { HostCredentials, RouteSession, Tools } from "./types.ts";

export interface ProxyTunnelOptions extends Tools {
  credentials(): HostCredentials;
  /** An app session; may wait until `signal` (2 s) while the view of sessions catches up. */
  session(sessionId: string, signal: AbortSignal): Promise<RouteSession | undefined>;
  /** The hosts whose agents serve this session's app. */
  agents(session: RouteSession): readonly AgentHost[];
}

/**
 * A proxy's part of every link: it verifies route tokens, holds the agents'
 * control and data connections, and joins a client with an agent without being
 * able to read either.
 */
export class ProxyTunnel {
  readonly #options: ProxyTunnelOptions;
  readonly #verifier: RouteVerifier;
  readonly #limiter = new AddressLimiter();
  /** By control id. */
  readonly #controls = new Map<string, AgentControl>();
  readonly #relays = new Set<{ sessionId: string; control: AgentControl; relay: Relay }>();
  readonly #listeners = new Set<() => void>();
  #closed = false;

  constructor(options: ProxyTunnelOptions) {
    this.#options = options;
    this.#verifier = new RouteVerifier(options.clock);
  }

  /** Agents with a control connection now. */
  connectedAgents(): readonly { hostId: string; connectedAt: number }[] {
    return this.#ready().map(({ hostId, connectedAt }) => ({ hostId, connectedAt }));
  }

  onAgentsChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A connection that offered ALPN `tp-control/1`. */
  control(socket: Socket): void {
    void this.#acceptControl(socket).catch((error: unknown) => {
      this.#options.counters.count("control.refused");
      this.#options.log.warn(
        { from: socket.remoteAddress, error: messageOf(error) },
        "an agent's connection was refused",
      );
      socket.destroy();
    });
  }

  /** A connection whose greeting is still unread. */
  dataConnection(socket: Socket): void {
    void this.#acceptData(socket);
  }

  /** A connection that offered ALPN `tp-link/1`. */
  link(connection: HelloConnection): void {
    const { socket } = connection;
    const leave = this.#limiter.enter(socket.remoteAddress ?? "", () => {
      this.#options.counters.count("route.evicted");
      socket.destroy();
    });
    if (!leave) {
      this.#options.counters.count("route.address-limit");
      refuseHello(socket, ALERT.internalError, this.#options.clock);
      return;
    }
    void this.#route(connection, leave).finally(leave);
  }

  /** The session ended or was locked. */
  cutSession(sessionId: string): void {
    for (const live of this.#relays) if (live.sessionId === sessionId) live.relay.cut();
  }

  /** The host was locked. */
  cutHost(hostId: string): void {
    for (const control of this.#controls.values()) if (control.hostId === hostId) control.close("this host is locked");
  }

  /** Tells agents to expect no new clients from here; relays go on. */
  drain(): void {
    for (const control of this.#controls.values()) control.drain();
  }

  close(): void {
    this.#closed = true;
    for (const control of this.#controls.values()) control.close("the proxy is shutting down");
    for (const live of this.#relays) live.relay.cut();
  }

  // ---- agents

  async #acceptControl(socket: Socket): Promise<void> {
    if (this.#closed || this.#controls.size >= MAX_CONTROLS) throw new Error("no room for another agent");
    const { certPem, keyPem, hostCas, cluster } = this.#options.credentials();
    const secure = await serveTls(socket, {
      certPem,
      keyPem,
      clientCas: hostCas,
      timeoutMs: CONTROL_HELLO_TIMEOUT_MS,
      chooseAlpn: (protocols) => (protocols.includes(CONTROL_ALPN) ? CONTROL_ALPN : undefined),
    });
    const raw = secure.getPeerX509Certificate()?.raw;
    const identity = raw && verifyChain(raw, hostCas, this.#options.clock.wallMs());
    if (!identity || isMalformed(identity)) throw new Error(identity?.malformed ?? "no certificate");
    if (identity.kind !== "host" || !identity.roles.includes("App") || identity.cluster !== cluster) {
      throw new Error("the certificate is not an agent's");
    }
    const control = new AgentControl(secure, identity.hostId, this.#options, {
      ready: () => this.#agentsChanged(),
      gone: (gone, reason) => this.#onGone(gone, reason),
    });
    this.#controls.set(control.controlId, control);
  }

  /** Its data connections go with it: what they carry can no longer be vouched for. */
  #onGone(control: AgentControl, reason: string): void {
    this.#controls.delete(control.controlId);
    for (const live of this.#relays) if (live.control === control) live.relay.cut();
    this.#options.log.info({ host: control.hostId, reason }, "an agent disconnected");
    if (control.instance !== "") this.#agentsChanged();
  }

  #agentsChanged(): void {
    for (const listener of this.#listeners) listener();
  }

  #ready(): AgentControl[] {
    return [...this.#controls.values()].filter((control) => control.instance !== "" && !control.draining);
  }

  async #acceptData(socket: Socket): Promise<void> {
    let bytes: Uint8Array = new Uint8Array(0);
    const greeting = await peekSocket(socket, this.#options.clock, {
      timeoutMs: HELLO_TIMEOUT_MS,
      maxLen: GREETING_LEN,
      parse: (octets) => {
        bytes = octets;
        return decodeGreeting(octets);
      },
    });
    const control = isMalformed(greeting) ? undefined : this.#controls.get(greeting.controlId);
    if (isMalformed(greeting) || !control) {
      this.#options.counters.count(isMalformed(greeting) ? greeting.malformed : "data.unknown-control");
      socket.destroy();
      return;
    }
    socket.read(GREETING_LEN);
    if (control.offer(socket, greeting, bytes)) return;
    this.#options.counters.count("data.refused");
    socket.destroy();
  }

  // ---- clients

  async #route({ socket, hello }: HelloConnection, verified: () => void): Promise<void> {
    const { clock, counters } = this.#options;
    const token = routeTokenOf(hello.alpn);
    const session = isMalformed(token) ? undefined : await this.#session(token.sessionId);
    const verdict = this.#verifier.verify(token, session);
    if (verdict.kind !== "route") {
      counters.count(verdict.reason);
      refuseHello(socket, verdict.kind === "unrecognized" ? ALERT.unrecognizedName : ALERT.internalError, clock);
      return;
    }
    verified();
    const joined = await this.#join(socket, verdict.session, verdict.instance);
    if (joined) return;
    this.#verifier.ended(verdict.session.sessionId);
    counters.count("route.no-agent");
    refuseHello(socket, ALERT.internalError, clock);
  }

  async #session(sessionId: string): Promise<RouteSession | undefined> {
    const abort = new AbortController();
    const timer = this.#options.clock.after(SESSION_WAIT_MS, () => abort.abort());
    try {
      return await this.#options.session(sessionId, abort.signal);
    } catch {
      return undefined;
    } finally {
      timer.cancel();
    }
  }

  /** Offers the client to one agent after the other, each for a second. */
  async #join(client: Socket, session: RouteSession, instance: string): Promise<boolean> {
    const route = { sessionId: session.sessionId, app: session.app, clientAddress: client.remoteAddress ?? "" };
    const candidates = this.#candidates(session, instance);
    for (let attempt = 0; attempt < MAX_ROUTE_ATTEMPTS && candidates.length > 0; attempt++) {
      if (client.destroyed || this.#closed) return false;
      const control = candidates[attempt % candidates.length]!;
      control.clients++; // Also while it is asked: clients that come at once are spread.
      const agent = await this.#offer(control, route);
      if (agent !== undefined) {
        this.#relay(client, agent, session.sessionId, control);
        return true;
      }
      control.clients--;
      control.failedAt = this.#options.clock.now();
      this.#options.counters.count("route.agent-failed");
    }
    return false;
  }

  #candidates(session: RouteSession, instance: string): AgentControl[] {
    const now = this.#options.clock.now();
    const all = preferred(this.#options.agents(session), this.#ready(), now);
    return instance === ANY_INSTANCE ? all : all.filter((control) => control.instance === instance);
  }

  /** The agent's connection, paused, where it takes the client. */
  async #offer(control: AgentControl, route: Route): Promise<Socket | undefined> {
    const connection = await control.take();
    const answer = await connection?.route(route, this.#options.clock);
    return answer === "accepted" ? connection?.socket : undefined;
  }

  #relay(client: Socket, agent: Socket, sessionId: string, control: AgentControl): void {
    const joined = relay(client, agent, (totals) => {
      this.#relays.delete(live);
      control.clients--;
      this.#verifier.ended(sessionId);
      this.#options.log.debug({ sessionId, ...totals }, "a relay ended");
    });
    const live = { sessionId, control, relay: joined };
    this.#relays.add(live);
    // What happened while the agent was asked.
    if (!this.#controls.has(control.controlId) || this.#closed) joined.cut();
  }
}
