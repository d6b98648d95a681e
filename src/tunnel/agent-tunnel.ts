import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { messageOf, sleep, toHex } from "../base/mod.ts";
import { hostChecker } from "../pki/mod.ts";
import { CONTROL_ALPN, CONTROL_VERSION, ControlChannel, type ControlMessage, hello } from "./control-wire.ts";
import { dataKey, type Route } from "./data-wire.ts";
import { IdlePool } from "./idle-pool.ts";
import { CONNECT_TIMEOUT_MS, CONTROL_HELLO_TIMEOUT_MS, RECONNECT_MAX_MS, RECONNECT_MIN_MS } from "./limits.ts";
import { connectTls } from "./tls-ends.ts";
import type { HostCredentials, Tools } from "./types.ts";

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

/** One agent's control connection to one proxy, with its idle data connections; reconnects by itself. */
export class AgentTunnel {
  /** Resolves with the first control connection. */
  readonly ready: Promise<void>;
  readonly #options: AgentTunnelOptions;
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;
  readonly #firstReady = Promise.withResolvers<void>();
  #channel: ControlChannel | undefined;
  #pool: IdlePool | undefined;
  #draining = false;

  constructor(options: AgentTunnelOptions) {
    this.#options = options;
    this.ready = this.#firstReady.promise;
    this.#running = this.#run();
  }

  get connected(): boolean {
    return this.#pool !== undefined;
  }

  /** Tells the proxy to send no more clients; relayed connections go on while the control connection does. */
  drain(): void {
    this.#draining = true;
    this.#channel?.send({ type: "drain" });
    this.#pool?.close();
  }

  /** Ends the control connection; the proxy then ends what it relays to this agent. */
  async close(): Promise<void> {
    this.#abort.abort(new Error("closed"));
    this.#channel?.close("the agent is shutting down");
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    let delayMs = RECONNECT_MIN_MS;
    while (!signal.aborted) {
      const startedAt = this.#options.clock.now();
      const end = await this.#connectOnce().catch(messageOf);
      if (signal.aborted) return;
      this.#options.onState?.("disconnected", end);
      // A connection that held is no reason to wait long for the next.
      if (this.#options.clock.now() - startedAt > RECONNECT_MAX_MS) delayMs = RECONNECT_MIN_MS;
      await sleep(delayMs * (0.5 + 0.5 * Math.random()), signal).catch(() => {});
      delayMs = Math.min(RECONNECT_MAX_MS, delayMs * 2);
    }
  }

  /** Resolves with the reason once the control connection has ended. */
  async #connectOnce(): Promise<string> {
    const { certPem, keyPem, cluster, hostCas } = this.#options.credentials();
    const socket = await connectTls({
      address: this.#options.proxyAddress,
      alpn: [CONTROL_ALPN],
      certPem,
      keyPem,
      serverCas: hostCas,
      checkServerIdentity: hostChecker({ cluster, roles: ["Proxy"] }),
      timeoutMs: CONNECT_TIMEOUT_MS,
      signal: this.#abort.signal,
    });
    return await this.#serve(socket);
  }

  #serve(socket: TLSSocket): Promise<string> {
    const key = dataKey(socket);
    return new Promise((resolve) => {
      const welcomeTimer = this.#options.clock.after(CONTROL_HELLO_TIMEOUT_MS, () => {
        if (this.#pool === undefined) channel.close("no welcome");
      });
      const channel = new ControlChannel(socket, this.#options.clock, {
        message: (message) => this.#onMessage(message, channel, key),
        closed: (reason) => {
          welcomeTimer.cancel();
          this.#pool?.close();
          this.#pool = undefined;
          this.#channel = undefined;
          resolve(reason);
        },
      });
      this.#channel = channel;
      channel.send(hello(toHex(this.#options.instance)));
    });
  }

  #onMessage(message: ControlMessage, channel: ControlChannel, key: Uint8Array): void {
    if (message.type === "welcome") this.#onWelcome(message, channel, key);
    else if (message.type === "need" && !this.#draining) this.#pool?.want(message.idle);
    // A draining proxy keeps what it relays and needs no idle connections.
    else if (message.type === "drain") this.#pool?.want(0);
  }

  #onWelcome(message: Extract<ControlMessage, { type: "welcome" }>, channel: ControlChannel, key: Uint8Array): void {
    if (message.version !== CONTROL_VERSION || this.#pool) {
      channel.close(`control protocol ${message.version} is not spoken here, only ${CONTROL_VERSION}`);
      return;
    }
    const { proxyAddress, clock, counters, log, onRoute } = this.#options;
    const { controlId } = message;
    this.#pool = new IdlePool({ address: proxyAddress, controlId, key, clock, counters, log, onRoute });
    if (this.#draining) this.drain();
    this.#firstReady.resolve();
    this.#options.onState?.("connected", proxyAddress);
  }
}
