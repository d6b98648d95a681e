import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { VERSION, versionObjection } from "../base/mod.ts";
import { CONTROL_VERSION, ControlChannel, type ControlMessage } from "./control-wire.ts";
import { DataConnection } from "./data-connection.ts";
import { CONTROL_ID_LEN, dataKey, type Greeting, isGreetingGenuine } from "./data-wire.ts";
import {
  ACCEPT_TIMEOUT_MS,
  CONTROL_HELLO_TIMEOUT_MS,
  IDLE_DECAY_MS,
  MAX_IDLE,
  MAX_ROUTE_WAITERS,
  MIN_IDLE,
} from "./limits.ts";
import { ReplayWindow } from "./replay-window.ts";
import type { Tools } from "./types.ts";

export interface AgentControlEvents {
  /** The agent said hello: routes may be offered. */
  ready(control: AgentControl): void;
  gone(control: AgentControl, reason: string): void;
}

/**
 * The proxy's end of one agent's control connection, with its idle data
 * connections. The wanted number of idle ones doubles when they run short and
 * halves in quiet times.
 */
export class AgentControl {
  readonly hostId: string;
  /** Of the authority that vouched for it. */
  readonly cluster: string;
  /** What the agent showed, DER. */
  readonly certificate: Uint8Array;
  readonly controlId = randomBytes(CONTROL_ID_LEN).toString("hex");
  readonly connectedAt: number;
  /** 16 hexadecimal digits, from its hello on. */
  instance = "";
  draining = false;
  /** Relayed to it now, or being offered. */
  clients = 0;
  /** When it last did not take a client (monotonic). */
  failedAt = Number.NEGATIVE_INFINITY;
  readonly #tools: Tools;
  readonly #events: AgentControlEvents;
  readonly #channel: ControlChannel;
  readonly #key: Uint8Array;
  readonly #numbers = new ReplayWindow();
  /** Oldest first. */
  readonly #idle = new Set<DataConnection>();
  readonly #waiters: Array<(connection: DataConnection | undefined) => void> = [];
  #wanted = MIN_IDLE;
  #decay: { cancel(): void } | undefined;

  constructor(
    socket: TLSSocket,
    agent: { hostId: string; cluster: string; certificate: Uint8Array },
    tools: Tools,
    events: AgentControlEvents,
  ) {
    this.hostId = agent.hostId;
    this.cluster = agent.cluster;
    this.certificate = agent.certificate;
    this.connectedAt = tools.clock.wallMs();
    this.#tools = tools;
    this.#events = events;
    this.#key = dataKey(socket);
    const helloTimer = tools.clock.after(CONTROL_HELLO_TIMEOUT_MS, () => {
      if (this.instance === "") this.close("no hello");
    });
    this.#channel = new ControlChannel(socket, tools.clock, {
      message: (message) => this.#onMessage(message),
      closed: (reason) => {
        helloTimer.cancel();
        this.#end(reason);
      },
    });
  }

  /** A connection with a free greeting; false where it is not genuine or was here before. */
  offer(socket: Socket, greeting: Greeting, bytes: Uint8Array): boolean {
    if (!isGreetingGenuine(this.#key, greeting, bytes) || !this.#numbers.take(greeting.number)) return false;
    if (this.#idle.size >= MAX_IDLE) return false;
    const connection = new DataConnection(socket, this.#key, greeting.number);
    const waiter = this.#waiters.shift();
    if (waiter) {
      waiter(connection);
    } else {
      this.#idle.add(connection);
      connection.watch(() => this.#idle.delete(connection));
    }
    return true;
  }

  /** An idle connection, or the next that comes within a second. */
  take(): Promise<DataConnection | undefined> {
    const connection = this.#idle.values().next().value;
    if (connection) this.#idle.delete(connection);
    if (this.#idle.size < this.#wanted / 2) this.#wantMore();
    if (connection) return Promise.resolve(connection);
    if (this.#waiters.length >= MAX_ROUTE_WAITERS) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const settle = (result: DataConnection | undefined) => {
        timer.cancel();
        resolve(result);
      };
      const timer = this.#tools.clock.after(ACCEPT_TIMEOUT_MS, () => {
        this.#waiters.splice(this.#waiters.indexOf(settle), 1);
        resolve(undefined);
      });
      this.#waiters.push(settle);
    });
  }

  drain(): void {
    this.#channel.send({ type: "drain" });
  }

  close(reason: string): void {
    this.#channel.close(reason);
  }

  #onMessage(message: ControlMessage): void {
    if (message.type === "hello") this.#onHello(message);
    else if (message.type === "drain") this.draining = true;
    else this.close(`unexpected message: ${message.type}`);
  }

  #onHello(message: Extract<ControlMessage, { type: "hello" }>): void {
    if (this.instance !== "") {
      this.close("a second hello");
      return;
    }
    if (message.version !== CONTROL_VERSION) {
      this.close(
        `control protocol ${message.version} is not spoken here, only ${CONTROL_VERSION}: update the older side`,
      );
      return;
    }
    const objection = versionObjection(message.software);
    if (objection !== undefined) {
      this.close(objection);
      return;
    }
    this.instance = message.instance;
    this.#channel.send({ type: "welcome", version: CONTROL_VERSION, software: VERSION, controlId: this.controlId });
    this.#need();
    this.#events.ready(this);
  }

  #wantMore(): void {
    this.#decayLater();
    if (this.#wanted === MAX_IDLE) return;
    this.#wanted = Math.min(MAX_IDLE, this.#wanted * 2);
    this.#need();
  }

  #decayLater(): void {
    this.#decay?.cancel();
    this.#decay = this.#tools.clock.after(IDLE_DECAY_MS, () => {
      this.#wanted = Math.max(MIN_IDLE, Math.floor(this.#wanted / 2));
      this.#need();
      if (this.#wanted > MIN_IDLE) this.#decayLater();
    });
  }

  #need(): void {
    this.#channel.send({ type: "need", idle: this.#wanted });
  }

  #end(reason: string): void {
    this.#decay?.cancel();
    for (const { socket } of this.#idle) socket.destroy();
    for (const waiter of this.#waiters.splice(0)) waiter(undefined);
    this.#events.gone(this, reason);
  }
}
