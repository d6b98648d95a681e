/** The far endpoint on the kernel's TCP: a process that serves `protocol.ts` on loopback. IPC: its port. */
import { type AddressInfo, createServer, type Socket } from "node:net";
import { decodeRequest, REQUEST_LEN, Receiver, type Request, Sender } from "./protocol.ts";

const PIECE_LEN = 1024 * 1024;

const server = createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {});
  socket.once("data", (first: Buffer) => {
    const request = decodeRequest(first.subarray(0, REQUEST_LEN));
    const rest = first.subarray(REQUEST_LEN);
    if (request.mode === "echo") {
      if (rest.length > 0) socket.write(rest);
      socket.on("data", (bytes: Buffer) => void socket.write(bytes));
    }
    if (request.mode === "up") receive(socket, request, rest);
    if (request.mode === "down") send(socket, request);
  });
});
server.listen(0, process.argv[2] ?? "127.0.0.1", () => process.send!((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit(0));

function receive(socket: Socket, { octets, hash, compare }: Request, rest: Buffer): void {
  const receiver = new Receiver(octets, hash, compare);
  const take = (bytes: Buffer) => {
    if (receiver.take(bytes)) socket.end("!");
  };
  if (rest.length > 0) take(rest);
  socket.on("data", take);
}

function send(socket: Socket, { octets, hash }: Request): void {
  const sender = new Sender(octets, hash);
  const pump = () => {
    while (sender.left > 0) if (!socket.write(sender.next(PIECE_LEN))) return;
    socket.removeListener("drain", pump);
    socket.end(sender.digest());
  };
  socket.on("drain", pump);
  pump();
}
