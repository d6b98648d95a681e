import { connect, type Socket } from "node:net";
import { isMalformed } from "../base/mod.ts";
import type { DBusValue } from "./dbus-values.ts";
import { type DBusMessage, decodeMessage, encodeMessage, MessageType, messageLen } from "./dbus-wire.ts";
import { DBusError } from "./errors.ts";
import { DBUS_CALL_MS, MAX_DBUS_AUTH_LEN, MAX_DBUS_CALLS } from "./limits.ts";

export const SYSTEM_BUS = "/run/dbus/system_bus_socket";

/** An interface of an object of a service. */
export interface DBusTarget {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
}

const BUS: DBusTarget = {
  destination: "org.freedesktop.DBus",
  path: "/org/freedesktop/DBus",
  interface: "org.freedesktop.DBus",
};

type Settle = (outcome: readonly DBusValue[] | DBusError) => void;

/**
 * A connection to the system bus that makes calls, and nothing else: no
 * signals, no objects of its own, no passing of descriptors.
 */
export class DBus implements Disposable {
  readonly #socket: Socket;
  readonly #calls = new Map<number, Settle>();
  #serial = 0;
  #pending: Uint8Array = new Uint8Array();
  #closed: DBusError | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.unref(); // Keeps no process alive; a call that waits does, by its timer.
    socket.on("data", (data: Uint8Array) => this.#receive(data));
    socket.on("close", () => this.#end(new DBusError("the connection to the D-Bus system bus has ended")));
  }

  /** @throws {DBusError} when there is no bus, or it refuses us */
  static async connect(path = SYSTEM_BUS): Promise<DBus> {
    const socket = connect(path);
    socket.on("error", () => {}); // "close" follows.
    const timer = setTimeout(() => socket.destroy(), DBUS_CALL_MS);
    try {
      await authenticate(socket);
      const bus = new DBus(socket);
      await bus.call(BUS, "Hello");
      return bus;
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /** Resolves with the reply's values. @throws {DBusError} with the service's error name, or without one */
  call(
    target: DBusTarget,
    member: string,
    signature = "",
    body: readonly DBusValue[] = [],
  ): Promise<readonly DBusValue[]> {
    return new Promise((resolve, reject) => {
      if (this.#calls.size >= MAX_DBUS_CALLS) this.#end(new DBusError("too many D-Bus calls wait for an answer"));
      if (this.#closed) return reject(this.#closed);
      const serial = ++this.#serial;
      const late = new DBusError(`${target.destination} did not answer ${member} within ${DBUS_CALL_MS / 1000} s`);
      const timer = setTimeout(() => settle(late), DBUS_CALL_MS);
      const settle: Settle = (outcome) => {
        clearTimeout(timer);
        this.#calls.delete(serial);
        if (outcome instanceof DBusError) reject(outcome);
        else resolve(outcome);
      };
      this.#calls.set(serial, settle);
      const message = { ...target, member, type: MessageType.call, serial, body };
      this.#socket.write(encodeMessage(signature === "" ? message : { ...message, signature }));
    });
  }

  /** A property, as its variant holds it. @throws {DBusError} */
  async property(target: DBusTarget, name: string): Promise<DBusValue> {
    const properties = { ...target, interface: "org.freedesktop.DBus.Properties" };
    const [value] = await this.call(properties, "Get", "ss", [target.interface, name]);
    if (value === undefined) throw new DBusError(`${target.destination} has no property ${name}`);
    return value;
  }

  /** All properties of the interface, by name. @throws {DBusError} */
  async properties(target: DBusTarget): Promise<ReadonlyMap<string, DBusValue>> {
    const properties = { ...target, interface: "org.freedesktop.DBus.Properties" };
    const [all] = await this.call(properties, "GetAll", "s", [target.interface]);
    return new Map(all as readonly [string, DBusValue][]);
  }

  [Symbol.dispose](): void {
    this.#end(new DBusError("VNet is ending"));
  }

  #receive(data: Uint8Array): void {
    this.#pending = this.#pending.length === 0 ? data : Buffer.concat([this.#pending, data]);
    for (;;) {
      const len = messageLen(this.#pending);
      if (typeof len !== "number") {
        this.#end(new DBusError(`the D-Bus system bus sends nonsense (${len.malformed})`));
        return;
      }
      if (this.#pending.length < len) return;
      const message = decodeMessage(this.#pending.subarray(0, len));
      this.#pending = this.#pending.subarray(len);
      if (!isMalformed(message)) this.#settle(message);
    }
  }

  #settle({ type, replySerial, errorName, body }: DBusMessage): void {
    const settle = this.#calls.get(replySerial ?? 0);
    if (type === MessageType.reply) settle?.(body);
    if (type === MessageType.error) settle?.(new DBusError(String(body[0] ?? errorName), errorName));
  }

  #end(reason: DBusError): void {
    this.#closed ??= reason;
    this.#socket.destroy();
    for (const settle of [...this.#calls.values()]) settle(this.#closed);
  }
}

/** EXTERNAL: the kernel tells the bus who we are (D-Bus Specification, "Authentication Protocol"). */
function authenticate(socket: Socket): Promise<void> {
  const uid = Buffer.from(String(process.getuid?.() ?? 0)).toString("hex");
  return new Promise((resolve, reject) => {
    let answer = "";
    const finish = (error?: DBusError) => {
      socket.removeAllListeners("data").removeAllListeners("close");
      if (error) return reject(error);
      socket.write("BEGIN\r\n");
      resolve();
    };
    socket.once("close", () => finish(new DBusError("there is no D-Bus system bus")));
    socket.on("data", (data: Uint8Array) => {
      answer += Buffer.from(data).toString("latin1");
      if (answer.endsWith("\r\n") || answer.length > MAX_DBUS_AUTH_LEN) {
        finish(answer.startsWith("OK ") ? undefined : new DBusError("the D-Bus system bus does not let us in"));
      }
    });
    socket.write(`\0AUTH EXTERNAL ${uid}\r\n`);
  });
}
