import type { TLSSocket } from "node:tls";
import { messageOf, sleep } from "../base/mod.ts";
import { hostChecker } from "../pki/mod.ts";
import { AgentConnection, type AgentConnectionOptions } from "./agent-connection.ts";
import { CONTROL_ALPN } from "./control-wire.ts";
import { DATA_ALPN } from "./data-wire.ts";
import { CONNECT_TIMEOUT_MS, RECONNECT_MAX_MS, RECONNECT_MIN_MS } from "./limits.ts";
import { connectTls } from "./tls-ends.ts";
import type { HostCredentials } from "./types.ts";

/**
 * `proxyAddress`: `host:port` of one proxy's `tunnel_public_addr`. `instance`: 8 octets of this process,
 * also in each link's HELLO. `onRoute`, a relayed client: usually `AppLinkServer.accept`.
 */
export interface AgentTunnelOptions extends AgentConnectionOptions {
  credentials(): HostCredentials;
  onState?(state: "connected" | "disconnected", detail: string): void;
}

/** One agent's control connection to one proxy, with its idle data connections; reconnects by itself. */
export class AgentTunnel {
  /** Resolves with the first control connection. */
  readonly ready: Promise<void>;
  readonly #options: AgentTunnelOptions;
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;
  readonly #firstReady = Promise.withResolvers<void>();
  #current: AgentConnection | undefined;
  /** Replaced ones that still have clients. */
  readonly #former = new Set<AgentConnection>();
  /** Takes the connection that replaces the current one. */
  #replace: (next: AgentConnection) => void = () => {};
  #renewing: Promise<void> | undefined;
  #draining = false;

  constructor(options: AgentTunnelOptions) {
    this.#options = options;
    this.ready = this.#firstReady.promise;
    this.#running = this.#run();
  }

  get connected(): boolean {
    return this.#current !== undefined;
  }

  /** Tells the proxy to send no new clients; those that come back to a link of theirs are still welcome. */
  drain(): void {
    this.#draining = true;
    this.#current?.drain();
  }

  /** The credentials have changed: a connection with the present ones is made before this one is given up. Never rejects. */
  renew(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  /** Ends the control connection; the proxy then ends what it relays to this agent. */
  async close(): Promise<void> {
    this.#abort.abort(new Error("closed"));
    for (const connection of [this.#current, ...this.#former]) connection?.close("the agent is shutting down");
    await Promise.all([this.#running, this.#renewing]);
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    let delayMs = RECONNECT_MIN_MS;
    while (!signal.aborted) {
      const startedAt = this.#options.clock.now();
      const end = await this.#connectAndHold().catch(messageOf);
      this.#current = undefined;
      if (signal.aborted) return;
      this.#options.onState?.("disconnected", end);
      // A connection that held is no reason to wait long for the next.
      if (this.#options.clock.now() - startedAt > RECONNECT_MAX_MS) delayMs = RECONNECT_MIN_MS;
      await sleep(delayMs * (0.5 + 0.5 * Math.random()), signal).catch(() => {});
      delayMs = Math.min(RECONNECT_MAX_MS, delayMs * 2);
    }
  }

  /** Resolves with the reason once the control connection, or the last of those that replaced it, has ended. */
  async #connectAndHold(): Promise<string> {
    let connection = await this.#connect();
    this.#firstReady.resolve();
    this.#options.onState?.("connected", this.#options.proxyAddress);
    for (;;) {
      this.#current = connection;
      if (this.#draining) connection.drain();
      const replaced = new Promise<AgentConnection>((resolve) => {
        this.#replace = resolve;
      });
      const outcome = await Promise.race([connection.ended, replaced]);
      if (typeof outcome === "string") return outcome;
      this.#retire(connection);
      connection = outcome;
    }
  }

  async #renew(): Promise<void> {
    const { signal } = this.#abort;
    const old = this.#current;
    // Where there is none, the next takes the present credentials by itself.
    while (old !== undefined && this.#current === old && !this.#draining && !signal.aborted) {
      try {
        const next = await this.#connect();
        if (this.#current === old) this.#replace(next);
        else next.close("not needed any more");
        return;
      } catch (error) {
        this.#options.log.info({ proxy: this.#options.proxyAddress, error: messageOf(error) }, "not renewed yet");
        await sleep(RECONNECT_MAX_MS * (0.5 + 0.5 * Math.random()), signal).catch(() => {});
      }
    }
  }

  #retire(connection: AgentConnection): void {
    this.#former.add(connection);
    void connection.ended.then(() => this.#former.delete(connection));
    connection.retire();
  }

  async #connect(): Promise<AgentConnection> {
    const socket = await this.#dial(CONTROL_ALPN, this.#abort.signal);
    const dialNested = (signal: AbortSignal) => this.#dial(DATA_ALPN, signal);
    const connection = new AgentConnection(socket, { ...this.#options, dialNested });
    const onAbort = () => connection.close("the agent is shutting down");
    this.#abort.signal.addEventListener("abort", onAbort, { once: true });
    await connection.welcomed.finally(() => this.#abort.signal.removeEventListener("abort", onAbort));
    return connection;
  }

  #dial(alpn: string, signal: AbortSignal): Promise<TLSSocket> {
    const { proxyAddress, dialTcp, credentials } = this.#options;
    const { certPem, keyPem, cluster, hostCas } = credentials();
    return connectTls({
      address: proxyAddress,
      alpn: [alpn],
      certPem,
      keyPem,
      serverCas: hostCas,
      checkServerIdentity: hostChecker({ cluster, roles: ["Proxy"] }),
      dialTcp,
      timeoutMs: CONNECT_TIMEOUT_MS,
      signal,
    });
  }
}
