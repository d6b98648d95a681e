import type { TLSSocket } from "node:tls";
import { type Clock, isMalformed, type Malformed, malformed, VERSION } from "../base/mod.ts";
import { KeepAlive } from "../link/mod.ts";
import { FAREWELL_TIMEOUT_MS, MAX_CONTROL_LINE } from "./limits.ts";

export const CONTROL_ALPN = "tp-control/1";
/** Of the messages below; said by both ends first. */
export const CONTROL_VERSION = 1;

/** One line of JSON each. A type that the reader does not know is skipped. */
export type ControlMessage =
  /** Agent: who I am. `instance`: 16 hexadecimal digits. */
  | { type: "hello"; version: number; software: string; instance: string }
  /** Proxy: the name of this control connection, for data connections. 32 hexadecimal digits. */
  | { type: "welcome"; version: number; software: string; controlId: string }
  /** Proxy: keep so many data connections idle. */
  | { type: "need"; idle: number }
  /** Either: no new clients from (or to) here on. */
  | { type: "drain" }
  /** Either, before it closes: why. */
  | { type: "bye"; reason: string }
  | { type: "ping"; id: number }
  | { type: "pong"; id: number };

export function hello(instance: string): ControlMessage {
  return { type: "hello", version: CONTROL_VERSION, software: VERSION, instance };
}

export function decodeControl(line: string): ControlMessage | Malformed | undefined {
  let value: Record<string, unknown> | null;
  try {
    value = JSON.parse(line) as typeof value;
  } catch {
    return malformed("control.syntax");
  }
  if (typeof value !== "object" || value === null || typeof value.type !== "string") return malformed("control.type");
  const check = FIELDS.get(value.type);
  if (check === undefined) return undefined;
  return check(value) ? (value as ControlMessage) : malformed(`control.${value.type}`);
}

const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const isHex = (value: unknown, digits: number) =>
  typeof value === "string" && value.length === digits && /^[0-9a-f]+$/.test(value);

const FIELDS = new Map<string, (value: Record<string, unknown>) => boolean>([
  ["hello", (m) => isCount(m.version) && typeof m.software === "string" && isHex(m.instance, 16)],
  ["welcome", (m) => isCount(m.version) && typeof m.software === "string" && isHex(m.controlId, 32)],
  ["need", (m) => isCount(m.idle)],
  ["drain", () => true],
  ["bye", (m) => typeof m.reason === "string"],
  ["ping", (m) => isCount(m.id)],
  ["pong", (m) => isCount(m.id)],
]);

/** Cuts octets into lines; holds at most one. */
export class LineReader {
  #rest = "";

  push(bytes: Uint8Array): string[] | Malformed {
    const lines = (this.#rest + Buffer.from(bytes).toString("latin1")).split("\n");
    this.#rest = lines.pop()!;
    if ([this.#rest, ...lines].some((line) => line.length > MAX_CONTROL_LINE)) return malformed("control.line");
    return lines.map((line) => Buffer.from(line, "latin1").toString());
  }
}

export interface ControlEvents {
  message(message: Exclude<ControlMessage, { type: "ping" | "pong" }>): void;
  /** Once, however it ended. */
  closed(reason: string): void;
}

/** One end of a control connection: messages, signs of life, and the one end. */
export class ControlChannel {
  readonly #socket: TLSSocket;
  readonly #clock: Clock;
  readonly #events: ControlEvents;
  readonly #lines = new LineReader();
  readonly #keepAlive: KeepAlive;
  #closed = false;
  #reason = "the connection was closed";

  constructor(socket: TLSSocket, clock: Clock, events: ControlEvents) {
    this.#socket = socket;
    this.#clock = clock;
    this.#events = events;
    socket.setNoDelay(true);
    this.#keepAlive = new KeepAlive(clock, {
      ping: (id) => this.send({ type: "ping", id }),
      dead: () => this.#fail("nothing was heard from the other end"),
    });
    socket.on("error", (error) => {
      this.#reason = error.message;
    });
    socket.on("end", () => socket.end());
    socket.on("close", () => this.#end());
    socket.on("data", (bytes: Buffer) => this.#onData(bytes));
  }

  send(message: ControlMessage): void {
    // A peer that does not read is soon a dead one: nothing piles up for it.
    if (this.#closed || this.#socket.writableLength > MAX_CONTROL_LINE * 16) return;
    this.#socket.write(`${JSON.stringify(message)}\n`);
  }

  /** Says why, and ends. */
  close(reason: string): void {
    if (this.#closed) return;
    this.#reason = reason;
    this.send({ type: "bye", reason });
    this.#socket.destroySoon();
    // A peer that does not read would keep the farewell, and the socket, for ever.
    const timer = this.#clock.after(FAREWELL_TIMEOUT_MS, () => this.#socket.destroy());
    this.#socket.once("close", () => timer.cancel());
    this.#end();
  }

  #onData(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#keepAlive.heard();
    const lines = this.#lines.push(bytes);
    if (isMalformed(lines)) {
      this.close(lines.malformed);
      return;
    }
    for (const line of lines) if (!this.#closed) this.#onLine(line);
  }

  #onLine(line: string): void {
    const message = decodeControl(line);
    if (message === undefined) return;
    if (isMalformed(message)) this.close(message.malformed);
    else if (message.type === "ping") this.send({ type: "pong", id: message.id });
    else if (message.type === "bye") this.#fail(message.reason);
    else if (message.type !== "pong") this.#events.message(message);
  }

  #fail(reason: string): void {
    this.#reason = reason;
    this.#socket.destroy();
    this.#end();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#keepAlive.stop();
    this.#events.closed(this.#reason);
  }
}
