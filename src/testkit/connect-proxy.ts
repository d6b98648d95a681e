import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import type { Duplex } from "node:stream";

export interface ConnectProxyOptions {
  /** The proxy itself speaks TLS, with this certificate. */
  readonly tls?: { readonly certPem: string; readonly keyPem: string };
  /** `USER:PASSWORD` that it wants. */
  readonly auth?: string;
  /** What it answers instead of connecting. */
  readonly refuse?: number;
  /** It hears the request and says nothing. */
  readonly silent?: boolean;
}

/** An HTTP proxy (CONNECT alone) on this machine, by Node's own server. Every name leads to 127.0.0.1. */
export class TestConnectProxy implements AsyncDisposable {
  /** `HOST:PORT` of each request, in order. */
  readonly asked: string[] = [];
  readonly #options: ConnectProxyOptions;
  readonly #server;
  readonly #open = new Set<Duplex>();

  private constructor(options: ConnectProxyOptions) {
    this.#options = options;
    const { tls } = options;
    this.#server = tls ? createSecureServer({ cert: tls.certPem, key: tls.keyPem }) : createServer();
    this.#server.on("connect", (request: IncomingMessage, client: Duplex, head: Buffer) => {
      this.#connect(request, client, head);
    });
  }

  static async start(options: ConnectProxyOptions = {}): Promise<TestConnectProxy> {
    const proxy = new TestConnectProxy(options);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #connect(request: IncomingMessage, client: Duplex, head: Buffer): void {
    const { auth, refuse, silent } = this.#options;
    this.asked.push(request.url ?? "");
    this.#hold(client);
    if (silent) return;
    const wanted = auth && `Basic ${Buffer.from(auth).toString("base64")}`;
    if (wanted !== undefined && request.headers["proxy-authorization"] !== wanted) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="test"\r\n\r\n');
      return;
    }
    if (refuse !== undefined) {
      client.end(`HTTP/1.1 ${refuse} Refused\r\nContent-Length: 2\r\n\r\nno`);
      return;
    }
    const upstream = connect({ host: "127.0.0.1", port: Number(request.url?.split(":").at(-1)) }, () => {
      client.write("HTTP/1.1 200 Connection Established\r\nVia: 1.1 test\r\n\r\n");
      upstream.write(head);
      client.pipe(upstream).pipe(client);
    });
    this.#hold(upstream);
    upstream.on("close", () => client.destroy());
    client.on("close", () => upstream.destroy());
  }

  #hold(stream: Duplex): void {
    this.#open.add(stream);
    stream.on("error", () => {});
    stream.once("close", () => this.#open.delete(stream));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#open) stream.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
