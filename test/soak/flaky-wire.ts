import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A relay before a proxy's port that treats its connections as bad networks do. */
export class FlakyWire implements AsyncDisposable {
  readonly #server: Server;
  readonly #pairs = new Set<[client: Socket, proxy: Socket]>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** `port`: asked for each connection. */
  static async start(port: () => number): Promise<FlakyWire> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    const wire = new FlakyWire(server);
    server.on("connection", (client) => wire.#join(client, port()));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return wire;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Each connection that `hits`: reset towards the client, the proxy, or both. */
  cut(hits: () => boolean, sides: "client" | "proxy" | "both"): void {
    for (const [client, proxy] of this.#pairs) {
      if (!hits()) continue;
      if (sides !== "proxy") client.resetAndDestroy();
      if (sides !== "client") proxy.resetAndDestroy();
    }
  }

  /** Nothing passes for so long: late, but whole. */
  stall(ms: number): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
    setTimeout(() => {
      for (const pair of this.#pairs) for (const socket of pair) socket.resume();
    }, ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.cut(() => true, "both");
  }

  #join(client: Socket, port: number): void {
    const proxy = connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
    const pair: [Socket, Socket] = [client, proxy];
    this.#pairs.add(pair);
    for (const [from, to] of [pair, [proxy, client]] as const) {
      from.on("data", (bytes: Buffer) => to.write(bytes) || from.pause());
      to.on("drain", () => from.resume());
      from.on("end", () => to.end());
      from.on("error", () => {});
      from.on("close", () => {
        this.#pairs.delete(pair);
        if (!from.readableEnded || !from.writableFinished) to.resetAndDestroy();
      });
    }
  }
}
