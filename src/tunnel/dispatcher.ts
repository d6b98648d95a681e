import type { Socket } from "node:net";
import { isMalformed, type Malformed, malformed } from "../base/mod.ts";
import { AddressLimiter } from "./address-limiter.ts";
import { beginsTls, type ClientHello, parseClientHello } from "./client-hello.ts";
import { beginsData } from "./data-wire.ts";
import { peekSocket } from "./first-octets.ts";
import { HELLO_TIMEOUT_MS, MAX_CLIENT_HELLO } from "./limits.ts";
import type { Tools } from "./types.ts";

/** One accepted connection whose first octets were a ClientHello. */
export interface HelloConnection {
  /** Paused, with everything unread: hand it to `tlsServer.emit("connection", socket)` or `relay`. */
  readonly socket: Socket;
  readonly hello: ClientHello;
}

export interface PortDispatcherOptions extends Tools {
  /** Takes the socket over. */
  onHello(connection: HelloConnection): void;
  /** A connection that began with the data-connection magic: `ProxyTunnel.dataConnection`. */
  onData(socket: Socket): void;
}

type First = { kind: "hello"; hello: ClientHello } | { kind: "data" };

/** Sorts the connections of the proxy's one port by their first octets; what it does not know is closed. */
export class PortDispatcher {
  readonly #options: PortDispatcherOptions;
  readonly #limiter = new AddressLimiter();
  readonly #waiting = new Set<Socket>();

  constructor(options: PortDispatcherOptions) {
    this.#options = options;
  }

  /** From `net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, …)`. */
  accept(socket: Socket): void {
    socket.on("error", () => {}); // Whoever takes the socket over learns of its end by `close`.
    const leave = this.#limiter.enter(socket.remoteAddress ?? "", () => {
      this.#options.counters.count("dispatch.evicted");
      socket.destroy();
    });
    if (!leave) {
      this.#options.counters.count("dispatch.address-limit");
      socket.destroy();
      return;
    }
    this.#waiting.add(socket);
    void this.#peek(socket).finally(() => {
      leave();
      this.#waiting.delete(socket);
    });
  }

  /** Ends the connections that were not dispatched yet. */
  close(): void {
    for (const socket of this.#waiting) socket.destroy();
  }

  async #peek(socket: Socket): Promise<void> {
    const first = await peekSocket<First>(socket, this.#options.clock, {
      timeoutMs: HELLO_TIMEOUT_MS,
      maxLen: MAX_CLIENT_HELLO,
      parse: parseFirst,
    });
    if (isMalformed(first)) {
      this.#options.counters.count(first.malformed);
      socket.destroy();
    } else if (first.kind === "data") {
      this.#options.onData(socket);
    } else {
      this.#options.onHello({ socket, hello: first.hello });
    }
  }
}

function parseFirst(bytes: Uint8Array): First | "incomplete" | Malformed {
  if (beginsTls(bytes)) {
    const hello = parseClientHello(bytes);
    return hello === "incomplete" || isMalformed(hello) ? hello : { kind: "hello", hello };
  }
  const data = beginsData(bytes);
  if (data === "incomplete") return data;
  return data ? { kind: "data" } : malformed("dispatch.unknown-protocol");
}
