import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { toHex } from "../base/mod.ts";
import type { DialTcp } from "../dial/mod.ts";
import { CONTROL_VERSION, ControlChannel, type ControlMessage, hello } from "./control-wire.ts";
import { type ApiRoute, dataKey, type Route } from "./data-wire.ts";
import { IdlePool } from "./idle-pool.ts";
import { CONTROL_HELLO_TIMEOUT_MS } from "./limits.ts";
import type { Tools } from "./types.ts";

export interface AgentConnectionOptions extends Tools {
  proxyAddress: string;
  instance: Uint8Array;
  /** The way to the proxy, where it is not straight. */
  dialTcp?: DialTcp | undefined;
  /** A connection to the proxy for data that is nested in TLS. Absent: there are none. */
  dialNested?(signal: AbortSignal): Promise<Socket>;
  onRoute(socket: Socket, route: Route): void;
  /** To a leaf's proxy only: a connection for the API of its cluster. */
  onApi?(socket: Socket, route: ApiRoute): void;
}

/** An agent's end of one control connection, after its handshake, with its data connections. */
export class AgentConnection {
  /** The proxy has taken the agent; rejects with the reason where it never does. */
  readonly welcomed: Promise<void>;
  /** Why it ended, once it has. */
  readonly ended: Promise<string>;
  readonly #options: AgentConnectionOptions;
  readonly #channel: ControlChannel;
  readonly #key: Uint8Array;
  readonly #welcome = Promise.withResolvers<void>();
  #pool: IdlePool | undefined;
  /** Relayed over this connection's data connections now. */
  #clients = 0;
  #draining = false;
  #retired = false;

  constructor(socket: TLSSocket, options: AgentConnectionOptions) {
    const { clock, instance } = options;
    const ended = Promise.withResolvers<string>();
    this.#options = options;
    this.welcomed = this.#welcome.promise;
    this.welcomed.catch(() => {}); // `ended` tells it too.
    this.ended = ended.promise;
    this.#key = dataKey(socket);
    const welcomeTimer = clock.after(CONTROL_HELLO_TIMEOUT_MS, () => {
      if (this.#pool === undefined) this.close("no welcome");
    });
    this.#channel = new ControlChannel(socket, clock, {
      message: (message) => this.#onMessage(message),
      closed: (reason) => {
        welcomeTimer.cancel();
        this.#pool?.close();
        this.#welcome.reject(new Error(reason));
        ended.resolve(reason);
      },
    });
    this.#channel.send(hello(toHex(instance)));
  }

  /** No new clients; those that are here stay, or come back to their links. */
  drain(): void {
    this.#draining = true;
    this.#channel.send({ type: "drain" });
  }

  /** Another connection has taken its place: it ends with its last client. */
  retire(): void {
    this.#retired = true;
    this.drain();
    this.#pool?.close();
    this.#closeIfOver();
  }

  close(reason: string): void {
    this.#channel.close(reason);
  }

  #onMessage(message: ControlMessage): void {
    if (message.type === "welcome") this.#onWelcome(message);
    else if (message.type === "need" && !this.#retired) this.#pool?.want(message.idle);
    // A draining proxy keeps what it relays and needs no idle connections.
    else if (message.type === "drain") this.#pool?.want(0);
  }

  #onWelcome(message: Extract<ControlMessage, { type: "welcome" }>): void {
    if (message.version !== CONTROL_VERSION || this.#pool) {
      this.close(`control protocol ${message.version} is not spoken here, only ${CONTROL_VERSION}`);
      return;
    }
    const { proxyAddress, dialTcp, dialNested, clock, counters, log, onApi } = this.#options;
    this.#pool = new IdlePool({
      address: proxyAddress,
      controlId: message.controlId,
      key: this.#key,
      dialTcp,
      dialNested,
      clock,
      counters,
      log,
      onRoute: (socket, route) => this.#count(socket, () => this.#options.onRoute(socket, route)),
      onApi: onApi && ((socket, route) => this.#count(socket, () => onApi(socket, route))),
    });
    if (this.#draining) this.drain();
    this.#welcome.resolve();
  }

  #count(socket: Socket, serve: () => void): void {
    this.#clients++;
    socket.once("close", () => {
      this.#clients--;
      this.#closeIfOver();
    });
    serve();
  }

  #closeIfOver(): void {
    if (this.#retired && this.#clients === 0) this.close("another connection has taken its place");
  }
}
