import type { Socket } from "node:net";
import { isMalformed, type Malformed, malformed, Repeats } from "../base/mod.ts";
import { AddressLimiter } from "./address-limiter.ts";
import { beginsTls, type ClientHello, parseClientHello } from "./client-hello.ts";
import { beginsData } from "./data-wire.ts";
import { peekSocket } from "./first-octets.ts";
import {
  HELLO_TIMEOUT_MS,
  MAX_CLIENT_HELLO,
  MAX_PROXY_HEADER,
  MAX_PROXY_HEADER_LOGS,
  PROXY_HEADER_LOG_MS,
} from "./limits.ts";
import { beginsProxyHeader, type PeerAddress, parseProxyHeader } from "./proxy-header.ts";
import type { Tools } from "./types.ts";

/** One accepted connection whose first octets were a ClientHello. */
export interface HelloConnection {
  /** Paused, with everything unread: hand it to `tlsServer.emit("connection", socket)` or `relay`. */
  readonly socket: Socket;
  readonly hello: ClientHello;
  /** The client's: a balancer on the way has said it, or else the socket. */
  readonly from: PeerAddress;
}

export interface PortDispatcherOptions extends Tools {
  /** Who sends a PROXY header before all else, and must; by default nobody, and nobody may. */
  isBalancer?(address: string): boolean;
  /** Takes the socket over. */
  onHello(connection: HelloConnection): void;
  /** A connection that began with the data-connection magic: `ProxyTunnel.dataConnection`. */
  onData(socket: Socket): void;
}

const UNEXPECTED_HEADER = "dispatch.proxy-header";
const UNEXPECTED_TEXT =
  "a connection began with a PROXY protocol header, which is not expected from there: if a balancer stands before this proxy, set proxy_service.proxy_protocol to on";

type First = { kind: "hello"; hello: ClientHello } | { kind: "data" };

/** Sorts the connections of the proxy's one port by their first octets; what it does not know is closed. */
export class PortDispatcher {
  readonly #options: PortDispatcherOptions;
  readonly #limiter = new AddressLimiter();
  readonly #waiting = new Set<Socket>();
  readonly #said: Repeats;

  constructor(options: PortDispatcherOptions) {
    this.#options = options;
    this.#said = new Repeats(options.clock, PROXY_HEADER_LOG_MS, MAX_PROXY_HEADER_LOGS);
  }

  /** From `net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, …)`. */
  accept(socket: Socket): void {
    socket.on("error", () => {}); // Whoever takes the socket over learns of its end by `close`.
    this.#waiting.add(socket);
    void this.#accept(socket).finally(() => this.#waiting.delete(socket));
  }

  /** Ends the connections that were not dispatched yet. */
  close(): void {
    for (const socket of this.#waiting) socket.destroy();
  }

  async #accept(socket: Socket): Promise<void> {
    const peer = { address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
    const from = this.#options.isBalancer?.(peer.address) ? await this.#behind(socket, peer) : peer;
    if (from === undefined) return;
    const leave = this.#limiter.enter(from.address, () => {
      this.#options.counters.count("dispatch.evicted");
      socket.destroy();
    });
    if (leave) return this.#peek(socket, from).finally(leave);
    this.#options.counters.count("dispatch.address-limit");
    socket.destroy();
  }

  /** Who a balancer says is behind it; its header is read. */
  async #behind(socket: Socket, balancer: PeerAddress): Promise<PeerAddress | undefined> {
    const header = await peekSocket(socket, this.#options.clock, {
      timeoutMs: HELLO_TIMEOUT_MS,
      maxLen: MAX_PROXY_HEADER,
      parse: parseProxyHeader,
    });
    if (isMalformed(header)) {
      this.#refuseHeader(
        socket,
        balancer,
        header,
        "a balancer's connection began without a PROXY protocol header, or a bad one",
      );
      return undefined;
    }
    socket.read(header.length);
    return header.from ?? balancer;
  }

  #refuseHeader(socket: Socket, { address }: PeerAddress, { malformed: reason }: Malformed, what: string): void {
    const { counters, log } = this.#options;
    counters.count(reason);
    // A health check that connects and says nothing is no news.
    if (reason !== "first-octets.ended" && this.#said.due(address)) log.warn({ from: address, reason }, what);
    socket.destroy();
  }

  async #peek(socket: Socket, from: PeerAddress): Promise<void> {
    const first = await peekSocket<First>(socket, this.#options.clock, {
      timeoutMs: HELLO_TIMEOUT_MS,
      maxLen: MAX_CLIENT_HELLO,
      parse: parseFirst,
    });
    if (isMalformed(first) && first.malformed === UNEXPECTED_HEADER) {
      this.#refuseHeader(socket, from, first, UNEXPECTED_TEXT);
    } else if (isMalformed(first)) {
      this.#options.counters.count(first.malformed);
      socket.destroy();
    } else if (first.kind === "data") {
      this.#options.onData(socket);
    } else {
      this.#options.onHello({ socket, hello: first.hello, from });
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
  const header = data ? false : beginsProxyHeader(bytes);
  if (header === "incomplete") return header;
  if (header) return malformed(UNEXPECTED_HEADER);
  return data ? { kind: "data" } : malformed("dispatch.unknown-protocol");
}
