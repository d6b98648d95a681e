import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { Socket } from "node:net";
import type { SecureContext } from "node:tls";
import { type Counters, type Logger, messageOf } from "../../base/mod.ts";
import type { PeerAddress } from "../../tunnel/mod.ts";
import {
  MAX_REQUESTS_PER_CONNECTION,
  MAX_WEB_BODY_LEN,
  MAX_WEB_CONNECTIONS,
  MAX_WEB_DISCARD_LEN,
  MAX_WEB_HEADER_LEN,
  WEB_HANDSHAKE_MS,
  WEB_HEADERS_MS,
  WEB_KEEP_ALIVE_MS,
  WEB_REQUEST_MS,
} from "../limits.ts";
import { jsonError, type WebRequest, type WebResponse } from "./answers.ts";
import { loadAssets } from "./assets.ts";
import type { WebBackend } from "./contract.ts";
import { respond } from "./site.ts";

export interface WebServerOptions {
  readonly backend: WebBackend;
  /** The certificate for a server name; the default one where it is not known. */
  contextFor(serverName: string | undefined): SecureContext;
  readonly certificate: { readonly cert: string; readonly key: string };
  readonly counters: Counters;
  readonly log: Logger;
  /** `WEB_HEADERS_MS`, shorter in tests. */
  readonly headersMs?: number;
}

/** HTTP/1.1 over TLS on sockets that the proxy's port hands over; it listens nowhere itself. */
export class WebServer {
  readonly #server: Server;
  readonly #options: WebServerOptions;
  readonly #assets = loadAssets();
  readonly #sockets = new Set<Socket>();
  /** Where the client is, by the ends of its connection as this machine sees them. */
  readonly #clients = new Map<string, string>();

  constructor(options: WebServerOptions) {
    this.#options = options;
    this.#server = createServer(
      {
        ...options.certificate,
        SNICallback: (name, done) => done(null, options.contextFor(name)),
        ALPNProtocols: ["http/1.1"],
        minVersion: "TLSv1.2", // browsers and curl of any age; our own protocols want 1.3
        handshakeTimeout: WEB_HANDSHAKE_MS,
        headersTimeout: options.headersMs ?? WEB_HEADERS_MS,
        requestTimeout: WEB_REQUEST_MS,
        keepAliveTimeout: WEB_KEEP_ALIVE_MS,
        connectionsCheckingInterval: 1_000,
        maxHeaderSize: MAX_WEB_HEADER_LEN,
        insecureHTTPParser: false,
      },
      (request, response) => void this.#handle(request, response),
    );
    this.#server.maxRequestsPerSocket = MAX_REQUESTS_PER_CONNECTION;
    // Node starts its timeout checks when a server listens, and this one never does.
    this.#server.emit("listening");
    this.#server.on("tlsClientError", (error, socket) => {
      options.counters.count("web.handshake-failed");
      options.log.debug({ error: error.message }, "a web TLS handshake failed");
      socket.destroy();
    });
    this.#server.on("clientError", (error, socket) => {
      options.counters.count("web.bad-request");
      options.log.debug({ error: error.message }, "a web request could not be read");
      socket.destroy();
    });
    this.#server.on("upgrade", (_request, socket) => socket.destroy());
    this.#server.on("connect", (_request, socket) => socket.destroy());
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Takes a raw socket over whose ClientHello is still unread. */
  handle(socket: Socket, from: PeerAddress): void {
    if (this.#sockets.size >= MAX_WEB_CONNECTIONS) {
      this.#options.counters.count("web.too-many");
      socket.destroy();
      return;
    }
    // Requests come with a socket of TLS, which knows the ends of this one and nothing else of it.
    const ends = endsOf(socket);
    this.#clients.set(ends, `${from.address}:${from.port}`);
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#clients.delete(ends);
    });
    this.#server.emit("connection", socket);
  }

  /** Cuts what is open; requests under way get no answer. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #handle(request: IncomingMessage, response: ServerResponse<IncomingMessage>): Promise<void> {
    const { counters, log } = this.#options;
    counters.count("web.requests");
    let answer: WebResponse;
    try {
      const body = await readBody(request);
      if (request.socket.destroyed) return;
      answer = body === undefined ? jsonError(413, "the request is too large") : await this.#answer(request, body);
    } catch (error) {
      counters.count("web.failed");
      log.error({ error: messageOf(error), path: request.url?.split("?", 1)[0] }, "a web request failed");
      answer = jsonError(500, "the proxy could not answer: see its log");
    }
    // What is left of a body that was far too large is not read: the connection ends with the answer.
    const headers = { ...answer.headers, ...(answer.status === 413 ? { Connection: "close" } : {}) };
    response.writeHead(answer.status, { ...headers, "Content-Length": answer.body.length });
    response.end(answer.body);
  }

  #answer(request: IncomingMessage, body: Uint8Array): Promise<WebResponse> {
    const webRequest: WebRequest = {
      method: request.method ?? "",
      target: request.url ?? "",
      host: request.headers.host ?? "",
      contentType: request.headers["content-type"] ?? "",
      client: this.#clients.get(endsOf(request.socket)) ?? "unknown:0",
      body,
    };
    return respond(webRequest, this.#options.backend, this.#assets);
  }
}

function endsOf({ remoteAddress = "", remotePort = 0, localAddress = "" }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}

/**
 * `undefined` where it is larger than allowed. What is moderately larger is
 * read to its end and dropped, since unread octets would turn the end of our
 * answer into a reset that may overtake it. Rejects when the client goes away.
 */
function readBody(request: IncomingMessage): Promise<Uint8Array | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array | undefined>();
  const parts: Uint8Array[] = [];
  let length = 0;
  if (Number(request.headers["content-length"] ?? 0) > MAX_WEB_DISCARD_LEN) resolve(undefined);
  request.on("data", (part: Uint8Array) => {
    length += part.length;
    if (length <= MAX_WEB_BODY_LEN) parts.push(part);
    // Not destroyed, as leaving a `for await` would: the answer still has to go out.
    else if (length > MAX_WEB_DISCARD_LEN) resolve(undefined);
  });
  request.on("end", () => resolve(length > MAX_WEB_BODY_LEN ? undefined : Buffer.concat(parts)));
  request.on("error", reject);
  return promise;
}
