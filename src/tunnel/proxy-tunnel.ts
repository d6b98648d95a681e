import type { Socket } from "node:net";
import { isMalformed } from "../base/mod.ts";
import { AddressLimiter } from "./address-limiter.ts";
import { type AgentHost, preferred } from "./agent-choice.ts";
import type { AgentControl } from "./agent-control.ts";
import { AgentControls, type AgentControlsOptions } from "./agent-controls.ts";
import { ALERT, refuseHello } from "./alert.ts";
import type { ApiRoute, Route } from "./data-wire.ts";
import type { HelloConnection } from "./dispatcher.ts";
import { MAX_LEAF_API_RELAYS, MAX_ROUTE_ATTEMPTS, SESSION_FAREWELL_MS, SESSION_WAIT_MS } from "./limits.ts";
import { type Relay, relay } from "./relay.ts";
import { ANY_INSTANCE, routeTokenOf } from "./route-token.ts";
import { RouteVerifier } from "./route-verifier.ts";
import type { RouteSession } from "./types.ts";

export interface ProxyTunnelOptions extends AgentControlsOptions {
  /** An app session; may wait until `signal` (2 s) while the view of sessions catches up. */
  session(sessionId: string, signal: AbortSignal): Promise<RouteSession | undefined>;
  /** The hosts whose agents serve this session's app; asked where it is one of this cluster. */
  agents(session: AppRouteSession): readonly AgentHost[];
}

/** What the way to an agent takes of a session. */
export type AppRouteSession = Pick<RouteSession, "sessionId" | "cluster" | "app">;

/** A client on its way to one of several control connections. */
interface Passage {
  readonly client: Socket;
  readonly route: Route | ApiRoute;
  readonly candidates: readonly AgentControl[];
  /** Offers at most; a client that wants one process should know soon whether that is gone. */
  readonly attempts?: number;
  /** Called when its relay has ended. */
  readonly ended: () => void;
}

/** Offers to an agent's process that a client comes back to. */
const ATTEMPTS_TO_ONE = 1;

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
  readonly #relays = new Set<{ route: Route | ApiRoute; control: AgentControl; relay: Relay }>();
  #leafApis = 0;
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

  /** A connection that offered ALPN `tp-data/1`. */
  nestedData(socket: Socket): void {
    this.#controls.nestedData(socket);
  }

  /** Leaf clusters whose proxies have a control connection now. */
  connectedLeaves(): readonly string[] {
    return this.#controls.leaves();
  }

  /** A connection that offered ALPN `tp-link/1`. */
  link(connection: HelloConnection): void {
    const leave = this.#enter(connection);
    if (leave) void this.#route(connection, leave).finally(leave);
  }

  /** A connection for the API of a leaf cluster. Who calls is for the leaf's Auth to find out. */
  leafApi(connection: HelloConnection, cluster: string): void {
    const { socket, from } = connection;
    const leave = this.#enter(connection);
    if (!leave) return;
    if (this.#leafApis >= MAX_LEAF_API_RELAYS) {
      this.#refuse(socket, "leaf.too-many");
      leave();
      return;
    }
    this.#leafApis++;
    const ended = () => {
      this.#leafApis--;
    };
    const route: ApiRoute = { api: true, clientAddress: from.address };
    void this.#join({ client: socket, route, candidates: this.#leafProxies(cluster), ended })
      .then((joined) => {
        if (!joined) this.#refuse(socket, "leaf.offline");
      })
      .finally(leave);
  }

  /** At a leaf: a client that the root has routed here, to one of this cluster's own agents. */
  async forward(socket: Socket, { sessionId, app, clientAddress, instance }: Route, cluster: string): Promise<void> {
    const candidates = this.#agents({ sessionId, app, cluster }, instance ?? ANY_INSTANCE);
    const route: Route = { sessionId, app, clientAddress };
    const attempts = instance === undefined ? {} : { attempts: ATTEMPTS_TO_ONE };
    const joined = await this.#join({ client: socket, route, candidates, ...attempts, ended: () => {} });
    if (!joined) this.#refuse(socket, "route.no-agent");
  }

  /** The session ended or was locked: after a moment for the agent's last words, its relays do too. */
  cutSession(sessionId: string): void {
    this.#options.clock.after(SESSION_FAREWELL_MS, () => {
      for (const { route, relay } of this.#relays) {
        if (!("api" in route) && route.sessionId === sessionId) relay.cut();
      }
    });
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

  async #route({ socket, hello, from }: HelloConnection, verified: () => void): Promise<void> {
    const { clock, counters } = this.#options;
    const token = routeTokenOf(hello.alpn);
    const known = isMalformed(token) ? undefined : await this.#session(token.sessionId);
    const verdict = this.#verifier.verify(token, known);
    if (verdict.kind !== "route") {
      counters.count(verdict.reason);
      refuseHello(socket, verdict.kind === "unrecognized" ? ALERT.unrecognizedName : ALERT.internalError, clock);
      return;
    }
    verified();
    const { session, instance } = verdict;
    const { sessionId, app } = session;
    const ended = () => this.#verifier.ended(sessionId);
    const isOwn = session.cluster === this.#options.credentials().cluster;
    const candidates = isOwn ? this.#agents(session, instance) : this.#leafProxies(session.cluster);
    // A leaf's proxy chooses the agent.
    const wish = isOwn || instance === ANY_INSTANCE ? {} : { instance };
    const route: Route = { sessionId, app, clientAddress: from.address, ...wish };
    const attempts = instance === ANY_INSTANCE ? {} : { attempts: ATTEMPTS_TO_ONE };
    const joined = await this.#join({ client: socket, route, candidates, ...attempts, ended });
    if (!joined) this.#refuse(socket, "route.no-agent");
  }

  /** A place among what is unverified of one address; where there is none, the connection is refused. */
  #enter({ socket, from }: HelloConnection): (() => void) | undefined {
    const leave = this.#limiter.enter(from.address, () => {
      this.#options.counters.count("route.evicted");
      socket.destroy();
    });
    if (!leave) this.#refuse(socket, "route.address-limit");
    return leave;
  }

  #refuse(socket: Socket, reason: string): void {
    this.#options.counters.count(reason);
    refuseHello(socket, ALERT.internalError, this.#options.clock);
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

  /** Offers the client to one after the other, each for a second. `ended` is called in any case. */
  async #join(passage: Passage): Promise<boolean> {
    const { client, candidates, route } = passage;
    for (let attempt = 0; attempt < (passage.attempts ?? MAX_ROUTE_ATTEMPTS) && candidates.length > 0; attempt++) {
      if (client.destroyed || this.#closed) break;
      const control = candidates[attempt % candidates.length]!;
      control.clients++; // Also while it is asked: clients that come at once are spread.
      const agent = await this.#offer(control, route);
      if (agent !== undefined) {
        this.#relay(passage, agent, control);
        return true;
      }
      control.clients--;
      control.failedAt = this.#options.clock.now();
      this.#options.counters.count("route.agent-failed");
    }
    passage.ended();
    return false;
  }

  #agents(session: AppRouteSession, instance: string): AgentControl[] {
    // A link goes on with the process that it is with, as long as that lives and whatever it announces.
    if (instance !== ANY_INSTANCE) return this.#controls.process(instance);
    return preferred(this.#options.agents(session), this.#controls.agents(), this.#options.clock.now());
  }

  #leafProxies(cluster: string): AgentControl[] {
    const connected = this.#controls.of(cluster);
    const hostIds = new Set(connected.map(({ hostId }) => hostId));
    const hosts = [...hostIds].map((hostId) => ({ hostId, healthy: true }));
    return preferred(hosts, connected, this.#options.clock.now());
  }

  /** The agent's connection, paused, where it takes the client. */
  async #offer(control: AgentControl, route: Route | ApiRoute): Promise<Socket | undefined> {
    const connection = await control.take();
    const answer = await connection?.route(route, this.#options.clock);
    return answer === "accepted" ? connection?.socket : undefined;
  }

  #relay({ client, route, ended }: Passage, agent: Socket, control: AgentControl): void {
    const joined = relay(client, agent, (totals) => {
      this.#relays.delete(live);
      control.clients--;
      ended();
      this.#options.log.debug({ ...route, ...totals }, "a relay ended");
    });
    const live = { route, control, relay: joined };
    this.#relays.add(live);
    // What happened while the agent was asked.
    if (!this.#controls.has(control) || this.#closed) joined.cut();
  }
}
