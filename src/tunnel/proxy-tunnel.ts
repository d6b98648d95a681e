import type { Socket } from "node:net";
import { isMalformed } from "../base/mod.ts";
import { AddressLimiter } from "./address-limiter.ts";
import { type AgentHost, preferred } from "./agent-choice.ts";
import type { AgentControl } from "./agent-control.ts";
import { AgentControls, type AgentControlsOptions } from "./agent-controls.ts";
import { ALERT, refuseHello } from "./alert.ts";
import type { Route } from "./data-wire.ts";
import type { HelloConnection } from "./dispatcher.ts";
import { MAX_ROUTE_ATTEMPTS, SESSION_WAIT_MS } from "./limits.ts";
import { type Relay, relay } from "./relay.ts";
import { ANY_INSTANCE, routeTokenOf } from "./route-token.ts";
import { RouteVerifier } from "./route-verifier.ts";
import type { RouteSession } from "./types.ts";

export interface ProxyTunnelOptions extends AgentControlsOptions {
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
  readonly #controls: AgentControls;
  readonly #relays = new Set<{ sessionId: string; control: AgentControl; relay: Relay }>();
  #closed = false;

  constructor(options: ProxyTunnelOptions) {
    this.#options = options;
    this.#verifier = new RouteVerifier(options.clock);
    // What its data connections carry can no longer be vouched for.
    this.#controls = new AgentControls(options, (gone) => {
      for (const live of this.#relays) if (live.control === gone) live.relay.cut();
    });
  }

  /** Agents with a control connection now. */
  connectedAgents(): readonly { hostId: string; connectedAt: number }[] {
    return this.#controls.agents().map(({ hostId, connectedAt }) => ({ hostId, connectedAt }));
  }

  onAgentsChange(listener: () => void): () => void {
    return this.#controls.onChange(listener);
  }

  /** A connection that offered ALPN `tp-control/1`. */
  control(socket: Socket): void {
    this.#controls.accept(socket);
  }

  /** A connection whose greeting is still unread. */
  dataConnection(socket: Socket): void {
    void this.#controls.acceptData(socket);
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
    this.#controls.cutHost(hostId);
  }

  /** Host authorities have changed, here or of a leaf. */
  reviewAgents(): void {
    this.#controls.review();
  }

  /** Tells agents to expect no new clients from here; relays go on. */
  drain(): void {
    this.#controls.drain();
  }

  close(): void {
    this.#closed = true;
    this.#controls.close();
    for (const live of this.#relays) live.relay.cut();
  }

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
    const all = preferred(this.#options.agents(session), this.#controls.agents(), now);
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
    if (!this.#controls.has(control) || this.#closed) joined.cut();
  }
}
