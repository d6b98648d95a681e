import { connect, type Socket } from "node:net";
import { isMalformed, type Timer } from "../base/mod.ts";
import { splitAddress } from "./address.ts";
import { type ApiRoute, decodeRoute, encodeAnswer, encodeGreeting, type Route } from "./data-wire.ts";
import { peekSocket } from "./first-octets.ts";
import { CONNECT_TIMEOUT_MS, IDLE_LIFE_MS, MAX_IDLE, MAX_ROUTE, RECONNECT_MAX_MS } from "./limits.ts";
import type { Tools } from "./types.ts";

export interface IdlePoolOptions extends Tools {
  /** `host:port` of the proxy. */
  address: string;
  controlId: string;
  key: Uint8Array;
  onRoute(socket: Socket, route: Route): void;
  /** A connection for the API of a leaf cluster. Absent: an agent, which has none. */
  onApi?: ((socket: Socket, route: ApiRoute) => void) | undefined;
}

/** The agent's idle data connections of one control connection. */
export class IdlePool {
  readonly #options: IdlePoolOptions;
  readonly #idle = new Set<Socket>();
  #wanted = 0;
  #lastNumber = 0;
  #closed = false;
  #retry: Timer | undefined;

  constructor(options: IdlePoolOptions) {
    this.#options = options;
  }

  /** So many shall be idle; what is above goes with its age. */
  want(idle: number): void {
    this.#wanted = Math.min(MAX_IDLE, idle);
    this.#fill();
  }

  /** Ends the idle connections; those with a client are not ours any more. */
  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    for (const socket of this.#idle) socket.destroy();
  }

  #fill(): void {
    while (!this.#closed && this.#retry === undefined && this.#idle.size < this.#wanted) this.#dial();
  }

  #dial(): void {
    const { clock } = this.#options;
    const number = ++this.#lastNumber;
    const socket = connect({ ...splitAddress(this.#options.address), allowHalfOpen: true, noDelay: true });
    this.#idle.add(socket);
    socket.on("error", () => {}); // `close` follows.
    const timer = clock.after(CONNECT_TIMEOUT_MS, () => socket.destroy());
    let connected = false;
    socket.once("connect", () => {
      connected = true;
      timer.cancel();
      const { key, controlId } = this.#options;
      socket.write(encodeGreeting(key, { controlId, number }));
      void this.#waitForRoute(socket, number);
    });
    socket.once("close", () => {
      timer.cancel();
      if (!this.#idle.delete(socket)) return;
      if (connected) this.#fill();
      else this.#fillLater();
    });
  }

  /** A proxy that takes no connections is not asked in a tight loop. */
  #fillLater(): void {
    if (this.#closed) return;
    this.#retry ??= this.#options.clock.after(RECONNECT_MAX_MS, () => {
      this.#retry = undefined;
      this.#fill();
    });
  }

  async #waitForRoute(socket: Socket, number: number): Promise<void> {
    const { key, clock, counters } = this.#options;
    const found = await peekSocket(socket, clock, {
      // Not all at the same moment.
      timeoutMs: IDLE_LIFE_MS * (0.8 + 0.2 * Math.random()),
      maxLen: MAX_ROUTE,
      parse: (bytes) => decodeRoute(key, number, bytes),
    });
    if (isMalformed(found)) {
      if (found.malformed.startsWith("data.")) counters.count(found.malformed);
      socket.destroy();
      return;
    }
    this.#idle.delete(socket);
    socket.read(found.length);
    const taken = this.#closed ? undefined : this.#taker(found.route);
    socket.write(encodeAnswer(key, number, taken !== undefined));
    if (taken) taken(socket);
    else socket.end();
    this.#fill();
  }

  #taker(route: Route | ApiRoute): ((socket: Socket) => void) | undefined {
    const { onRoute, onApi } = this.#options;
    if (!("api" in route)) return (socket) => onRoute(socket, route);
    return onApi && ((socket) => onApi(socket, route));
  }
}
