import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

/** Listens on loopback as the product does; returns the port. */
export function listen(onSocket: (socket: Socket) => void): Promise<number> {
  return listenOn(createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, onSocket));
}

export async function listenOn(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", 512, resolve));
  return (server.address() as AddressInfo).port;
}
