import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type Duplex, pipeline } from "node:stream";

/** Listens on loopback as the product does; returns the port. */
export async function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, onSocket);
  return listenOn(server);
}

export async function listenOn(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", 512, resolve));
  return (server.address() as AddressInfo).port;
}

/** What one would write first: the reference's hops. */
export function pipeBoth(a: Duplex, b: Duplex): void {
  pipeline(a, b, () => {});
  pipeline(b, a, () => {});
}
