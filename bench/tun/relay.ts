/** The reference: what everybody writes first. `relay.ts PORT`: relays to 127.0.0.1:PORT. IPC: its port. */
import { type AddressInfo, connect, createServer } from "node:net";

const server = createServer({ noDelay: true, allowHalfOpen: true }, (a) => {
  const b = connect({ host: "127.0.0.1", port: Number(process.argv[2]), noDelay: true, allowHalfOpen: true });
  for (const socket of [a, b]) socket.on("error", () => {});
  a.on("close", () => b.destroy());
  b.on("close", () => a.destroy());
  a.pipe(b);
  b.pipe(a);
});
server.listen(0, process.argv[3] ?? "127.0.0.1", () => process.send!((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit(0));
