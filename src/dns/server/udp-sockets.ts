import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import type { Clock, Timer } from "../../base/mod.ts";
import { type Asked, type Done, isAnswerTo } from "./asking.ts";
import { QUESTIONS_PER_SOCKET, SOCKET_LIFE_MS, SOCKETS_PER_SERVER } from "./limits.ts";

/**
 * The sockets on which servers are asked. Each is connected, so that the kernel
 * takes datagrams from its server only and reports its ICMP errors, and stands on
 * a random port of the kernel's choice: with the id this makes an answer hard to
 * forge (RFC 5452 §9.2). A port is in use for few questions and a short time, and
 * questions take turns among several; one that is asked now and then has a port of
 * its own. Questions keep the ids of their clients: two of the same id never share
 * a socket.
 */
export class UdpSockets {
  readonly #port: number;
  readonly #clock: Clock;
  readonly #byServer = new Map<string, (UdpSocket | undefined)[]>();
  readonly #all = new Set<UdpSocket>();
  #turn = 0;

  constructor(port: number, clock: Clock) {
    this.#port = port;
    this.#clock = clock;
  }

  ask(server: string, query: Uint8Array, done: Done): Asked {
    const socket = this.#socketFor(server, idOf(query));
    return socket.ask(query, done);
  }

  close(): void {
    for (const socket of this.#all) socket.close();
  }

  #socketFor(server: string, id: number): UdpSocket {
    let slots = this.#byServer.get(server);
    if (slots === undefined) {
      slots = Array.from({ length: SOCKETS_PER_SERVER }, () => undefined);
      this.#byServer.set(server, slots);
    }
    for (let i = 0; i < slots.length; i++) {
      const slot = this.#turn++ % slots.length;
      const socket = slots[slot];
      if (socket?.takes(id)) return socket;
      if (socket === undefined || socket.spent) {
        const fresh = this.#open(server);
        slots[slot] = fresh;
        return fresh;
      }
    }
    const extra = this.#open(server); // as many clients use the same id at this moment
    extra.spend();
    return extra;
  }

  #open(server: string): UdpSocket {
    const socket = new UdpSocket(server, this.#port, this.#clock, () => {
      this.#all.delete(socket);
      const slots = this.#byServer.get(server);
      const slot = slots?.indexOf(socket) ?? -1;
      if (slots && slot >= 0) slots[slot] = undefined;
      if (slots?.every((each) => each === undefined)) this.#byServer.delete(server);
    });
    this.#all.add(socket);
    return socket;
  }
}

interface Question extends Asked {
  readonly query: Uint8Array;
  readonly done: Done;
}

class UdpSocket {
  readonly #socket: Socket;
  readonly #closed: () => void;
  readonly #life: Timer;
  /** By id. */
  readonly #waiting = new Map<number, Question>();
  #left = QUESTIONS_PER_SOCKET;
  #connected = false;
  #open = true;

  constructor(server: string, port: number, clock: Clock, closed: () => void) {
    this.#closed = closed;
    const socket = createSocket(isIPv6(server) ? "udp6" : "udp4");
    this.#socket = socket;
    socket.on("error", (error) => this.#fail(error));
    socket.on("message", (message) => this.#receive(message));
    // The callback of `connect` is also told of failure, which Node's types do not say.
    socket.connect(port, server, (error?: Error) => {
      if (error) this.#fail(error);
      else this.#connect();
    });
    this.#life = clock.after(SOCKET_LIFE_MS, () => this.spend());
  }

  /** It asks no more new questions. */
  get spent(): boolean {
    return this.#left <= 0 || !this.#open;
  }

  takes(id: number): boolean {
    return !this.spent && !this.#waiting.has(id);
  }

  ask(query: Uint8Array, done: Done): Asked {
    this.#left--;
    const id = idOf(query);
    const question: Question = {
      query,
      done,
      cancel: () => {
        if (this.#waiting.get(id) === question) this.#settle(id);
      },
    };
    this.#waiting.set(id, question);
    if (this.#connected) this.#send(question);
    return question;
  }

  /** Lets it end when its questions have. */
  spend(): void {
    this.#left = Math.min(this.#left, 0);
    if (this.#waiting.size === 0 && this.#connected) this.close();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#life.cancel();
    this.#socket.close();
    this.#closed();
  }

  #connect(): void {
    if (!this.#open) return;
    this.#connected = true;
    for (const question of this.#waiting.values()) this.#send(question);
    if (this.spent && this.#waiting.size === 0) this.close();
  }

  #send(question: Question): void {
    this.#socket.send(question.query);
  }

  /** What is not an answer to a question of ours is ignored; the answer may still come. */
  #receive(message: Uint8Array): void {
    if (message.length < 2) return;
    const id = idOf(message);
    const question = this.#waiting.get(id);
    if (question === undefined || !isAnswerTo(question.query, message)) return;
    this.#settle(id);
    question.done(message);
  }

  /** The system says that the server cannot be reached: none of the questions on it will be answered. */
  #fail(error: Error): void {
    const questions = [...this.#waiting.values()];
    this.#waiting.clear();
    this.close();
    for (const { done } of questions) done(error);
  }

  #settle(id: number): void {
    this.#waiting.delete(id);
    if (this.#waiting.size === 0 && this.spent && this.#connected) this.close();
  }
}

function idOf(message: Uint8Array): number {
  return (message[0]! << 8) | message[1]!;
}
