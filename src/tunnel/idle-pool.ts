import type { Socket } from "node:net";
import { isMalformed, type Timer } from "../base/mod.ts";
import { type DialTcp, dialDirect } from "../dial/mod.ts";
import { splitAddress } from "./address.ts";
import { type ApiRoute, decodeRoute, encodeAnswer, encodeGreeting, type Route } from "./data-wire.ts";
import { peekSocket } from "./first-octets.ts";
import {
  CONNECT_TIMEOUT_MS,
  EARLY_END_MS,
  EARLY_ENDS,
  IDLE_LIFE_MS,
  MAX_IDLE,
  MAX_ROUTE,
  RECONNECT_MAX_MS,
} from "./limits.ts";
import type { Tools } from "./types.ts";

export interface IdlePoolOptions extends Tools {
  /** `host:port` of the proxy. */
  address: string;
  controlId: string;
  key: Uint8Array;
  /** The way there, where it is not straight. */
  dialTcp?: DialTcp | undefined;
  /** The same inside TLS. Absent: there is no such way. */
  dialNested?: ((signal: AbortSignal) => Promise<Socket>) | undefined;
  onRoute(socket: Socket, route: Route): void;
  /** A connection for the API of a leaf cluster. Absent: an agent, which has none. */
  onApi?: ((socket: Socket, route: ApiRoute) => void) | undefined;
}

/** The agent's idle data connections of one control connection. */
export class IdlePool {
  readonly #options: IdlePoolOptions;
  readonly #idle = new Set<Socket>();
  readonly #dialling = new Set<AbortController>();
  #wanted = 0;
  /** Plain connections do not get through. */
  #nested = false;
  /** Connections in a row that ended soon after their greeting. */
  #early = 0;
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
    for (const attempt of this.#dialling) attempt.abort(new Error("closed"));
    for (const socket of this.#idle) socket.destroy();
  }

  #fill(): void {
    const lacking = () => this.#wanted - this.#idle.size - this.#dialling.size;
    while (!this.#closed && this.#retry === undefined && lacking() > 0) void this.#dial();
  }

  async #dial(): Promise<void> {
    const { clock } = this.#options;
    const attempt = new AbortController();
    this.#dialling.add(attempt);
    const timer = clock.after(CONNECT_TIMEOUT_MS, () => attempt.abort(new Error("no answer")));
    const socket = await this.#connect(attempt.signal).catch(() => undefined);
    timer.cancel();
    this.#dialling.delete(attempt);
    if (socket === undefined) this.#fillLater();
    else if (this.#closed) socket.destroy();
    else this.#greet(socket);
  }

  #connect(signal: AbortSignal): Promise<Socket> {
    const { address, dialTcp = dialDirect, dialNested } = this.#options;
    if (this.#nested && dialNested) return dialNested(signal);
    return dialTcp({ ...splitAddress(address), allowHalfOpen: true }, signal);
  }

  #greet(socket: Socket): void {
    const { key, controlId, clock } = this.#options;
    const greetedAt = clock.now();
    const number = ++this.#lastNumber;
    this.#idle.add(socket);
    socket.on("error", () => {}); // `close` follows.
    socket.once("close", () => {
      if (!this.#idle.delete(socket)) return;
      if (clock.now() - greetedAt < EARLY_END_MS && this.#giveUpWay()) this.#fillLater();
      else this.#fill();
    });
    socket.write(encodeGreeting(key, { controlId, number }));
    void this.#waitForRoute(socket, number);
  }

  /** One more has ended too soon. True where neither way has worked, and a pause is due. */
  #giveUpWay(): boolean {
    const { dialNested, address, log } = this.#options;
    if (dialNested === undefined || ++this.#early < EARLY_ENDS) return false;
    this.#early = 0;
    this.#nested = !this.#nested;
    const next = this.#nested ? "nested in TLS" : "plain again";
    log.info({ proxy: address, next }, "data connections do not get through: trying another way");
    return !this.#nested;
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
    this.#early = 0;
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
