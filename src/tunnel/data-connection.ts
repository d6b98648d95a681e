import type { Socket } from "node:net";
import { type Clock, isMalformed } from "../base/mod.ts";
import { type ApiRoute, decodeAnswer, encodeRoute, type Route } from "./data-wire.ts";
import { peekSocket } from "./first-octets.ts";
import { ACCEPT_TIMEOUT_MS } from "./limits.ts";

/** The proxy's end of one data connection, from its greeting until a client is on it. */
export class DataConnection {
  readonly socket: Socket;
  readonly #key: Uint8Array;
  readonly #number: number;
  #stopWatching = () => {};

  constructor(socket: Socket, key: Uint8Array, number: number) {
    this.socket = socket;
    this.#key = key;
    this.#number = number;
  }

  /** While idle: the agent says nothing, but it may go. */
  watch(gone: () => void): void {
    const { socket } = this;
    const onEvent = () => {
      this.#stopWatching();
      socket.destroy();
      gone();
    };
    this.#stopWatching = () => {
      socket.off("data", onEvent).off("end", onEvent).off("close", onEvent);
      socket.pause();
    };
    socket.on("data", onEvent).on("end", onEvent).on("close", onEvent);
    socket.resume();
  }

  /** Offers a client to the agent. On "accepted" the socket is paused, and the client's octets may follow. */
  async route(route: Route | ApiRoute, clock: Clock): Promise<"accepted" | "declined" | "failed"> {
    this.#stopWatching();
    this.socket.write(encodeRoute(this.#key, this.#number, route));
    const answer = await peekSocket(this.socket, clock, {
      timeoutMs: ACCEPT_TIMEOUT_MS,
      maxLen: 64,
      parse: (bytes) => decodeAnswer(this.#key, this.#number, bytes),
    });
    if (!isMalformed(answer) && answer.accepted) {
      this.socket.read(); // The answer, and nothing after it.
      return "accepted";
    }
    this.socket.destroy();
    return isMalformed(answer) ? "failed" : "declined";
  }
}
